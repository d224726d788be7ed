namespace LicenseAgent.Daemon.Config;

/// <summary>What <c>--check-config</c> prints and a refused start logs: one mistake a line, none held back.</summary>
internal static class ConfigReport
{
    public const int ExitOk = 0;
    public const int ExitConfiguration = 78; // EX_CONFIG of sysexits.h

    public static IEnumerable<string> Lines(string file, IReadOnlyList<ConfigError> errors) =>
        errors.Select(error => error switch
        {
            { Variable: { } variable } => $"environment variable {variable}: {error.Message}",
            { Line: > 0 } => $"{file}:{error.Line}: {error.Message}",
            _ => $"{file}: {error.Message}",
        });

    /// <returns>The exit code.</returns>
    public static int Write(TextWriter to, string file, ConfigOutcome outcome)
    {
        foreach (string line in Lines(file, outcome.Errors))
            to.WriteLine(line);
        if (outcome.Config is null)
            return ExitConfiguration;
        to.WriteLine($"{file}: the configuration is valid");
        return ExitOk;
    }
}
