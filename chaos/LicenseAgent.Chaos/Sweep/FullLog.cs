using LicenseAgent.Protocol.Audit;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>
/// The scenario of an audit log that is full: one closed file, and a newest one that a few validations make full too.
/// Then it is closed, and the oldest goes, because both are more than may be kept.
/// </summary>
internal static class FullLog
{
    // The least that can be configured, and room for what a start, an attach and a quiet moment write by themselves.
    private const long SegmentBytes = 64 * 1024, Room = 6 * 1024;
    private const int FillMax = 1000, OverflowMax = 64;
    private const string Oldest = "audit-1.log";

    /// <summary>Beyond what the replay guard needs, which is kept whatever its size.</summary>
    public static TimeSpan Later => TimeSpan.FromMinutes(20);

    public static TillSettings Shape(TillSettings settings) =>
        settings with { AuditSegmentBytes = SegmentBytes, AuditMaxBytes = 2 * SegmentBytes };

    /// <summary>The first file is closed, the second nearly full.</summary>
    public static Task FillAsync(SweepTill till, CancellationToken cancel) => till.ValidateUntilAsync(
        () => File.Exists(Path.Combine(till.Folder.Logs, Oldest))
            && new FileInfo(till.Folder.AuditLog).Length > SegmentBytes - Room,
        FillMax, cancel);

    public static Task OverflowAsync(SweepTill till, CancellationToken cancel) =>
        till.ValidateUntilAsync(() => IsOver(till.Folder), OverflowMax, cancel);

    /// <summary>The second file has its number and the first is gone.</summary>
    public static bool IsOver(TillFolder till) =>
        Directory.GetFiles(till.Logs, "audit-*.log").Any(f => AuditFormat.TryReadSegmentName(Path.GetFileName(f), out _))
        && !File.Exists(Path.Combine(till.Logs, Oldest));
}
