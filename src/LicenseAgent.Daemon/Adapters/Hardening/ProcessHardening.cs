using System.ComponentModel;
using System.Runtime.InteropServices;

namespace LicenseAgent.Daemon.Adapters.Hardening;

/// <summary>
/// Keeps other processes and core files out of this one's memory: prctl(2) and setrlimit(2), first thing in the
/// process. Either alone is not enough: a core_pattern that names a program ignores RLIMIT_CORE, and root may attach to
/// a process that is not dumpable.
/// </summary>
internal static partial class ProcessHardening
{
    private const int PrGetDumpable = 3, PrSetDumpable = 4;
    private const int RlimitCore = 4;

    public static void Apply()
    {
        // What is refused shows in the self-test, with its remedy; strict refuses to start on it.
        _ = prctl(PrSetDumpable, 0, 0, 0, 0);
        Limit none = default;
        _ = setrlimit(RlimitCore, in none);
    }

    /// <summary>Whether /proc/PID/mem, ptrace and core dumps are open to other processes of this user.</summary>
    public static bool IsDumpable() => prctl(PrGetDumpable, 0, 0, 0, 0) != 0;

    /// <summary>Soft and hard limit of core files, in bytes.</summary>
    public static (ulong Soft, ulong Hard) CoreLimit()
    {
        int result = getrlimit(RlimitCore, out Limit limit);
        int error = Marshal.GetLastPInvokeError();
        return result == 0
            ? (limit.Soft, limit.Hard)
            : throw new Win32Exception(error, $"getrlimit(RLIMIT_CORE) failed with errno {error}.");
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Limit
    {
        public ulong Soft;
        public ulong Hard;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int prctl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setrlimit(int resource, in Limit limit);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrlimit(int resource, out Limit limit);
}
