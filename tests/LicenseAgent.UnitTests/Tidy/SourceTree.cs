namespace LicenseAgent.UnitTests.Tidy;

/// <summary>The repository that this test was built from.</summary>
internal static class SourceTree
{
    public static string Root { get; } = FindRoot();

    /// <summary>Files below some folders by the end of their name, paths relative to the root, build output left out.</summary>
    public static IReadOnlyList<string> Files(string ending, params ReadOnlySpan<string> folders)
    {
        List<string> found = [];
        foreach (string folder in folders)
        {
            found.AddRange(Directory.EnumerateFiles(Path.Combine(Root, folder), "*" + ending, SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(Root, path))
                .Where(path => !path.Split('/').Any(part => part is "bin" or "obj" or "artifacts" or "node_modules")));
        }

        found.Sort(StringComparer.Ordinal);
        return found;
    }

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    public static bool Exists(string path) => Path.Exists(Path.Combine(Root, path));

    private static string FindRoot()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "LicenseAgent.sln")))
            {
                return at.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No LicenseAgent.sln above {AppContext.BaseDirectory}.");
    }
}
