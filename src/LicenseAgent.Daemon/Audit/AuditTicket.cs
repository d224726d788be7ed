using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Audit;

/// <summary>A chain begins: its genesis value, and the name the file of the one before gets.</summary>
internal sealed record ChainStart(AuditIdentity Identity, Digest32 Genesis, string ClosedName);

/// <summary>A record's place: its number and the batch it went into.</summary>
internal readonly record struct AuditTicket(long Seq, AuditBatch Batch);

/// <summary>Whose chain it is. Both empty before enrolment.</summary>
/// <param name="SigningKey">Thumbprint of the signing key.</param>
internal sealed record AuditIdentity(string AgentId, string SigningKey)
{
    public static AuditIdentity None { get; } = new("", "");

    public Digest32 Genesis => AuditFormat.Genesis(AgentId, SigningKey);
}
