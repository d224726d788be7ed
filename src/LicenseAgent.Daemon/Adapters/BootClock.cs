using System.Runtime.InteropServices;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>
/// The two clocks of a boot by clock_gettime, which the BCL does not offer, and the kernel's boot id.
/// </summary>
internal sealed partial class BootClock : IBootClock
{
    private const int ClockMonotonic = 1, ClockBootTime = 7;
    private const string BootIdPath = "/proc/sys/kernel/random/boot_id";

    public string BootId { get; } = ReadBootId();

    public long BootMs => Read(ClockBootTime);

    public long AwakeMs => Read(ClockMonotonic);

    private static long Read(int clock)
    {
        int result = clock_gettime(clock, out var now);
        int error = Marshal.GetLastPInvokeError();
        return result == 0
            ? now.Seconds * 1_000 + now.Nanoseconds / 1_000_000
            : throw new StorageException("boot_clock", $"clock_gettime({clock}) failed: errno {error}.");
    }

    private static string ReadBootId()
    {
        string text = File.ReadAllText(BootIdPath).Trim();
        return Guid.TryParseExact(text, "D", out _)
            ? text
            : throw new StorageException("boot_id", $"{BootIdPath} holds no boot id; the kernel must mount /proc.");
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int clock_gettime(int clock, out TimeSpec now);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct TimeSpec(long Seconds, long Nanoseconds);
}
