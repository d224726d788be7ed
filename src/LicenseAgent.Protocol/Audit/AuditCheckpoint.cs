using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Audit;

/// <summary>
/// What the agent's TPM signs about its log: that the chain had <see cref="Head"/> at <see cref="Seq"/>. The JWS, type
/// <c>audit-checkpoint+jwt</c>, stands as <c>jws</c> in the details of a later record, event
/// <c>checkpoint_written</c>.
/// </summary>
/// <param name="Seq">A record before the checkpoint's own; a TPM takes its time, and validations go on.</param>
/// <param name="Generation">The NV counter.</param>
/// <param name="ResetCount">TPM resets.</param>
/// <param name="TpmClockMs">TPM2_ReadClock; it may fall back at a power cut.</param>
/// <param name="Time">Trusted now.</param>
public sealed record AuditCheckpoint(
    string AgentId, long Seq, Digest32 Head, long Generation, long ResetCount, long TpmClockMs, UtcTime Time)
{
    /// <summary>Event of the record that carries a checkpoint.</summary>
    public const string Event = "checkpoint_written";

    /// <summary>Event that says why one is late; the stretch without checkpoint begins anew.</summary>
    public const string MissedEvent = "checkpoint_missed";

    /// <summary>Most records a checkpoint may lag behind its own record.</summary>
    public const int MaxLag = 1 << 17;

    private const int MaxBytes = 1000;

    /// <summary>The JWS in a checkpoint's record; <see langword="null"/> of any other line.</summary>
    public static string? JwsOf(AuditLine line)
    {
        if (!line.Event.SequenceEqual("checkpoint_written"u8))
            return null;
        try
        {
            return StrictJson.Read(line.Details, AuditJsonContext.Strict.CheckpointDetails).Jws;
        }
        catch (ProtocolException)
        {
            // The record of something else under that name; verification names it.
            return null;
        }
    }

    /// <summary>The bytes to sign; <see cref="CompactJws.Assemble"/> adds the signature.</summary>
    public byte[] ToSigningInput() => CompactJws.SigningInput(
        new JwsHeader(AgentId, JoseTypes.AuditCheckpoint),
        StrictJson.Write(this, AuditJsonContext.Strict.AuditCheckpoint));

    /// <summary>Opens the JWS of a checkpoint; <see langword="null"/> unless this key signed it.</summary>
    public static AuditCheckpoint? Open(ReadOnlySpan<byte> jws, EcPublicJwk key, Es256Verify verify)
    {
        if (!CompactJws.TryParse(jws, JoseTypes.AuditCheckpoint, MaxBytes, out ParsedJws? parsed)
            || !parsed.IsSignedBy(key, verify))
        {
            return null;
        }
        AuditCheckpoint checkpoint = StrictJson.Read(parsed.Payload, AuditJsonContext.Strict.AuditCheckpoint);
        return checkpoint.AgentId == parsed.Kid ? checkpoint : null;
    }
}

/// <summary>Details of a checkpoint's record.</summary>
internal sealed record CheckpointDetails(string Jws);

/// <summary>Details of a record that says which segment was deleted.</summary>
/// <param name="Checkpoint">The JWS of the last checkpoint in it, or <see langword="null"/>.</param>
internal sealed record RetiredSegment(long FirstSeq, long LastSeq, Digest32 Head, string? Checkpoint);

[JsonSerializable(typeof(AuditCheckpoint))]
[JsonSerializable(typeof(CheckpointDetails))]
[JsonSerializable(typeof(RetiredSegment))]
internal sealed partial class AuditJsonContext : JsonSerializerContext
{
    public static AuditJsonContext Strict { get; } = new(StrictJson.RefuseUnknown());
}
