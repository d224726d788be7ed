using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Daemon.Audit;

/// <summary>A chain begins: its genesis value, and the name the file of the one before gets.</summary>
internal sealed record ChainStart(AuditIdentity Identity, Digest32 Genesis, string ClosedName);

/// <summary>A record's place: its number and the batch it went into.</summary>
internal readonly record struct AuditTicket(long Seq, AuditBatch Batch);

/// <summary>Whose chain it is. Both empty before enrolment.</summary>
/// <param name="Key">Signs the checkpoints.</param>
internal sealed record AuditIdentity(string AgentId, EcPublicJwk? Key)
{
    public static AuditIdentity None { get; } = new("", null);

    /// <summary>Nobody can say whose the log is: whoever began it, it goes on.</summary>
    public static AuditIdentity Unknown { get; } = None with { IsUnknown = true };

    public bool IsUnknown { get; private init; }

    public Digest32 Genesis { get; } = AuditFormat.Genesis(AgentId, Key?.Thumbprint().ToString() ?? "");

    /// <summary>The checkpoint, where it is one of this identity's.</summary>
    public AuditCheckpoint? Signed(string jws, Es256Verify verify)
    {
        try
        {
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(jws);
            AuditCheckpoint? opened = Key is null ? null : AuditCheckpoint.Open(bytes, Key, verify);
            return opened?.AgentId == AgentId ? opened : null;
        }
        catch (ProtocolException)
        {
            // No checkpoint of this version, whoever signed it.
            return null;
        }
    }

    public bool HasSigned(string jws, Es256Verify verify) => Signed(jws, verify) is not null;
}
