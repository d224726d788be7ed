using System.Globalization;
using LicenseAgent.Daemon.Secrets;

namespace LicenseAgent.Daemon.Adapters.Hardening;

/// <summary>
/// Looks, at start, whether what is to keep secrets inside this process holds: asks the kernel, not the calls that
/// arranged it. What does not hold is exported, shown in the status, logged with its remedy, and under
/// <c>security.strict</c> a reason not to start.
/// </summary>
internal static class SelfTest
{
    private const string DiagnosticsVariable = "DOTNET_EnableDiagnostics";
    private const string MiniDumpVariable = "DOTNET_DbgEnableMiniDump";

    public static IReadOnlyList<Protection> Run(SecretMemory memory) =>
    [
        .. OfRegion(MappedRegion.Find(
            memory.Start, memory.Start + memory.Length, File.ReadLines("/proc/self/smaps"))),
        .. OfProcess(ProcessHardening.IsDumpable(), ProcessHardening.CoreLimit()),
        .. OfRuntime(
            Environment.GetEnvironmentVariable, DiagnosticSockets(Path.GetTempPath(), Environment.ProcessId)),
    ];

    public static IEnumerable<Protection> OfRegion(MappedRegion? region)
    {
        yield return Flag(
            region, "memory_locked", "lo", "kept out of swap",
            "raise LimitMEMLOCK of the unit (ulimit -l) to 64 KiB or more");
        yield return Flag(
            region, "memory_not_dumped", "dd", "left out of core dumps", "use a kernel with MADV_DONTDUMP (3.4)");
        yield return Flag(
            region, "memory_wiped_on_fork", "wf", "wiped in forked children",
            "use a kernel with MADV_WIPEONFORK (4.14)");
        bool guarded = region is { GuardBefore: true, GuardAfter: true };
        yield return new Protection(
            "memory_guarded", guarded,
            guarded ? "secret pages stand between two guard pages" : "secret pages are not between guard pages",
            "report this with the kernel's version; the agent arranges it by itself");
    }

    public static IEnumerable<Protection> OfProcess(bool dumpable, (ulong Soft, ulong Hard) core)
    {
        yield return new Protection(
            "process_not_dumpable", !dumpable,
            dumpable ? "other processes of this user can read the agent's memory" : "PR_SET_DUMPABLE is 0",
            "allow prctl(PR_SET_DUMPABLE) in the sandbox of the unit");
        bool none = core is (0, 0);
        yield return new Protection(
            "core_limit_zero", none,
            none
                ? "RLIMIT_CORE is 0"
                : string.Create(CultureInfo.InvariantCulture, $"RLIMIT_CORE is {core.Soft} (hard {core.Hard})"),
            "set LimitCORE=0 in the unit");
    }

    /// <param name="sockets">Diagnostic sockets of this process that were found.</param>
    public static IEnumerable<Protection> OfRuntime(
        Func<string, string?> variable, IReadOnlyCollection<string> sockets)
    {
        bool asked = ValueOf(variable, DiagnosticsVariable) == "0";
        yield return new Protection(
            "diagnostics_off", asked && sockets.Count == 0,
            (asked, sockets.Count) switch
            {
                (_, > 0) => $"the runtime listens for debuggers and dump tools at {sockets.First()}",
                (false, _) => $"{DiagnosticsVariable} is not 0: debuggers and profilers can be attached",
                _ => $"{DiagnosticsVariable} is 0",
            },
            $"set {DiagnosticsVariable}=0 where the agent is started; it works from the environment alone");
        bool dumps = ValueOf(variable, MiniDumpVariable) is not (null or "" or "0");
        yield return new Protection(
            "crash_dump_off", !dumps,
            dumps
                ? $"{MiniDumpVariable} has the runtime write a dump when it crashes"
                : "no dump is written at a crash",
            $"remove {MiniDumpVariable} from the agent's environment");
    }

    public static IReadOnlyCollection<string> DiagnosticSockets(string directory, int pid) =>
        Directory.Exists(directory)
        ? Directory.GetFiles(
            directory, string.Create(CultureInfo.InvariantCulture, $"dotnet-diagnostic-{pid}-*"))
        : [];

    // The runtime still reads the old prefix.
    private static string? ValueOf(Func<string, string?> variable, string name) =>
        variable(name) ?? variable(name.Replace("DOTNET_", "COMPlus_", StringComparison.Ordinal));

    private static Protection Flag(MappedRegion? region, string name, string flag, string what, string remedy)
    {
        bool holds = region?.Flags.Contains(flag) == true;
        return new Protection(name, holds, $"secret pages are {(holds ? "" : "not ")}{what}", remedy);
    }
}
