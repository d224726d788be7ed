using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>The agent's clocks at the time of a request: what the server judges clones by.</summary>
/// <param name="Wall">Wall clock, unproven.</param>
/// <param name="TpmClockMs">TPM2_ReadClock in milliseconds; <see langword="null"/> without TPM.</param>
/// <param name="ResetCount">TPM resets; <see langword="null"/> without TPM.</param>
/// <param name="RestartCount">TPM restarts; <see langword="null"/> without TPM.</param>
/// <param name="Generation">The NV counter; <see langword="null"/> without TPM.</param>
/// <param name="BootId">The kernel's boot id.</param>
/// <param name="BoottimeMs">CLOCK_BOOTTIME in milliseconds.</param>
public sealed record ClockEvidence(
    UtcTime Wall, long? TpmClockMs, long? ResetCount, long? RestartCount, long? Generation,
    string BootId, long BoottimeMs);

/// <summary>A point of the audit chain.</summary>
/// <param name="Seq">Number of the record, from 1; 0 = nothing yet.</param>
/// <param name="Head">Hash of that record.</param>
public sealed record AuditPoint(long Seq, Digest32 Head);

/// <summary>The agent's audit log as a request reports it.</summary>
/// <param name="Seq">Number of the newest record on stable storage.</param>
/// <param name="Head">Its hash.</param>
/// <param name="Witnessed">The last witnessed record, read from the log as it is on disk now.</param>
public sealed record AuditEvidence(long Seq, Digest32 Head, AuditPoint? Witnessed);
