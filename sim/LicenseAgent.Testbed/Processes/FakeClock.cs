namespace LicenseAgent.Testbed.Processes;

/// <summary>
/// A wall clock of its own for a process, by Debian's libfaketime; boot clock and timers stay what they are. The package
/// must be installed.
/// </summary>
public static class FakeClock
{
    private const string Library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

    /// <summary>A till without a clock battery, as it comes up.</summary>
    public const string Dead = "@1970-01-01 00:00:10";

    /// <summary>Environment of a process.</summary>
    /// <param name="clock">As libfaketime reads it: <c>+30d</c>, <c>@1970-01-01 00:00:10</c>.</param>
    public static Dictionary<string, string> At(string clock) => With("FAKETIME", clock);

    /// <summary>The clock stands in a file, and jumps when its content is replaced.</summary>
    public static Dictionary<string, string> FromFile(string path) => With("FAKETIME_TIMESTAMP_FILE", path);

    // With 1970 every .NET timer stops unless the monotonic fix is off; without a cache jumps are seen at once.
    private static Dictionary<string, string> With(string name, string value) => new()
    {
        ["LD_PRELOAD"] = Library,
        [name] = value,
        ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
        ["FAKETIME_FORCE_MONOTONIC_FIX"] = "0",
        ["FAKETIME_NO_CACHE"] = "1",
    };
}
