using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Campaign;

/// <summary>A plan and where it comes from.</summary>
/// <param name="Repro">The line that ends its findings: the command that shows them again.</param>
internal sealed record PlanSource(Plan Plan, string Repro)
{
    public static PlanSource OfSeed(ulong seed, Profile profile) =>
        new(PlanMaker.Make(seed, profile), Campaign.Repro.OfSeed(seed, profile.Name));

    /// <exception cref="PlanException">The file cannot be read, or holds no plan.</exception>
    public static PlanSource OfFile(string path) => new(NamedFile.ReadPlan(path), Campaign.Repro.OfFile(path));
}

/// <summary>How a finding is seen again, as a line to copy.</summary>
internal static class Repro
{
    public const string Begins = "REPRO:";

    private const string Program = Begins + " dotnet run -c Release --project sim/LicenseAgent.Sim -- ";

    public static string OfSeed(ulong seed, string profile) => $"{Program}replay --seed {seed} --profile {profile}";

    /// <summary>What differs from run to run shows when there are two of them.</summary>
    public static string OfSeedTwice(ulong seed, string profile) => OfSeed(seed, profile) + " --twice";

    public static string OfFile(string path) => $"{Program}replay --plan {Word(path)}";

    /// <summary>One call of a walk over all of them.</summary>
    public static string OfCall(string scenario, string blow, int call) =>
        $"{Program}failnth {scenario} --blow {blow} --call {call}";

    /// <summary>One word to a shell, whatever stands in it.</summary>
    private static string Word(string text) =>
        text.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_')
            ? text
            : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
