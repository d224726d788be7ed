using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Audit;

/// <summary>A stretch in which the log could not be written. Owned by <see cref="AuditLog"/>, under its lock.</summary>
internal sealed class AuditGap(UtcTime from, long fromUpMs, string code, string reason)
{
    public const string Event = "audit_gap";

    public UtcTime From { get; } = from;

    public string Reason { get; } = reason;

    /// <summary>Records that were asked for and are not in the log.</summary>
    public long Records { get; set; }

    public AuditEntry ToEntry(AuditFailure policy, UtcTime to, long toUpMs) => new(
        Event, null, AuditActor.System, AuditOutcome.Failed,
        new AuditDetails
        {
            { "from", From },
            { "to", to },
            { "from_up", fromUpMs },
            { "to_up", toUpMs },
            { "records", Records },
            { "policy", policy == AuditFailure.Continue ? "continue" : "refuse" },
            { "code", code },
            { "reason", Reason },
        });

    public StorageException ToFailure() => new(code, Reason);
}
