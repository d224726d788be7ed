using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Campaign;

/// <summary>
/// Files and folders the caller named. What is wrong with one is the caller's to mend: a <see cref="PlanException"/>
/// with the system's words, which name it. Any other error of input or output is the harness's.
/// </summary>
internal static class NamedFile
{
    /// <exception cref="PlanException">It cannot be read, or holds no plan.</exception>
    public static Plan ReadPlan(string path)
    {
        string json = Try(() => File.ReadAllText(path));
        try
        {
            return Plan.Read(json);
        }
        catch (PlanException e)
        {
            throw new PlanException($"{path}: {e.Message}");
        }
    }

    public static void Write(string path, string text) => Try(() =>
    {
        File.WriteAllText(path, text);
        return path;
    });

    /// <summary>Makes the folder, if it is not there.</summary>
    public static void MakeFolder(string path) => Try(() => Directory.CreateDirectory(path));

    private static T Try<T>(Func<T> act)
    {
        try
        {
            return act();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PlanException(e.Message);
        }
    }
}
