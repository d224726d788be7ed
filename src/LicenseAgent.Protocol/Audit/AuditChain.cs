using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Protocol.Audit;

/// <summary>
/// The end of a chain, and the writing of its next record. One owner at a time; not safe on several threads.
/// </summary>
public sealed class AuditChain(AuditPoint end, string boot) : IDisposable
{
    // Half the price of the one-shot hash, which matters at tens of thousands of records a second.
    private readonly IncrementalHash sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] bootText = AuditText.Quoted(boot, 64);

    // Times change once a millisecond, records thirty times: the text between seq and event is kept for the next.
    private byte[] timesText = [];
    private (long TimeMs, long UpMs) timesOf = (-1, -1);

    /// <summary>Number of the last record, 0 before the first.</summary>
    public long Seq { get; private set; } = end.Seq;

    /// <summary>Hash of the last record, or the genesis value.</summary>
    public Digest32 Head { get; private set; } = end.Head;

    /// <summary>The last record.</summary>
    public AuditPoint End => new(Seq, Head);

    /// <summary>Goes back to an earlier end: what came after it was not written.</summary>
    public void Rewind(AuditPoint to) => (Seq, Head) = (to.Seq, to.Head);

    /// <summary>Writes a record, newline included.</summary>
    /// <param name="line">Room for <see cref="AuditFormat.MaxLineBytes"/>.</param>
    /// <returns>Bytes written.</returns>
    public int Write(Span<byte> line, UtcTime time, long upMs, AuditEntry entry)
    {
        var writer = new AuditWriter(line);
        Begin(ref writer, time, upMs);
        writer.Literal(",\"event\":\""u8);
        writer.Name(entry.Event);
        writer.Literal("\",\"op\":"u8);
        writer.Text(entry.Op, AuditText.OpMaxBytes);
        Actor(ref writer, entry.Actor);
        Outcome(ref writer, entry.Outcome);
        Details(ref writer, entry.Details);
        return Finish(ref writer, line);
    }

    /// <inheritdoc cref="Write(Span{byte}, UtcTime, long, AuditEntry)"/>
    public int Write(Span<byte> line, UtcTime time, long upMs, in AuditedValidation validation)
    {
        var writer = new AuditWriter(line);
        Begin(ref writer, time, upMs);
        writer.Literal(AuditLine.ValidationHead);
        writer.Number(validation.Uid);
        writer.Literal(",\"gid\":"u8);
        writer.Number(validation.Gid);
        writer.Literal(",\"pid\":"u8);
        writer.Number(validation.Pid);
        writer.Literal(",\"role\":null}"u8);
        Outcome(ref writer, validation.Reason == "VALID" ? AuditOutcome.Ok : AuditOutcome.Refused);
        writer.Literal(AuditLine.ValidationNonce);
        validation.Nonce.Format(writer.Take(Nonce16.TextLength));
        writer.Literal("\",\"token\":\""u8);
        validation.Token.Format(writer.Take(TokenTag.TextLength));
        writer.Literal("\",\"reason\":\""u8);
        writer.Name(validation.Reason);
        writer.Literal("\",\"license_id\":"u8);
        writer.Text(validation.LicenseId, AuditText.ValueMaxBytes);
        writer.Literal(",\"secret_version\":"u8);
        writer.Number(validation.SecretVersion);
        writer.Literal("}"u8);
        return Finish(ref writer, line);
    }

    /// <inheritdoc/>
    public void Dispose() => sha256.Dispose();

    private void Begin(ref AuditWriter writer, UtcTime time, long upMs)
    {
        writer.Literal("{\"seq\":"u8);
        writer.Number(Seq + 1);
        if (timesOf != (time.UnixMs, upMs))
        {
            Span<byte> scratch = stackalloc byte[256];
            var times = new AuditWriter(scratch);
            times.Literal(",\"time\":\""u8);
            time.Format(times.Take(UtcTime.TextLength));
            times.Literal("\",\"up\":"u8);
            times.Number(upMs);
            times.Literal(",\"boot\":"u8);
            times.Literal(bootText);
            timesText = scratch[..times.Length].ToArray();
            timesOf = (time.UnixMs, upMs);
        }
        writer.Literal(timesText);
    }

    private static void Actor(ref AuditWriter writer, AuditActor actor)
    {
        writer.Literal(",\"actor\":{\"kind\":\""u8);
        writer.Literal(actor.Kind switch
        {
            AuditActorKind.Agent => "agent"u8,
            AuditActorKind.App => "app"u8,
            AuditActorKind.Operator => "operator"u8,
            AuditActorKind.Server => "server"u8,
            _ => "system"u8,
        });
        writer.Literal("\",\"uid\":"u8);
        writer.Number(actor.Uid);
        writer.Literal(",\"gid\":"u8);
        writer.Number(actor.Gid);
        writer.Literal(",\"pid\":"u8);
        writer.Number(actor.Pid);
        writer.Literal(",\"role\":"u8);
        writer.Text(actor.Role, AuditText.OpMaxBytes);
        writer.Literal("}"u8);
    }

    private static void Outcome(ref AuditWriter writer, AuditOutcome outcome) => writer.Literal(outcome switch
    {
        AuditOutcome.Ok => ",\"outcome\":\"ok\""u8,
        AuditOutcome.Refused => ",\"outcome\":\"refused\""u8,
        _ => ",\"outcome\":\"failed\""u8,
    });

    private static void Details(ref AuditWriter writer, AuditDetails details)
    {
        writer.Literal(",\"details\":{"u8);
        bool first = true;
        foreach ((string name, AuditValue value) in details)
        {
            writer.Literal(first ? "\""u8 : ",\""u8);
            writer.Name(name);
            writer.Literal("\":"u8);
            if (value.Number is { } number)
                writer.Number(number);
            else if (value.Flag is { } flag)
                writer.Literal(flag ? "true"u8 : "false"u8);
            else
                writer.Text(value.Text, AuditText.ValueMaxBytes);
            first = false;
        }
        writer.Literal("}"u8);
    }

    private int Finish(ref AuditWriter writer, Span<byte> line)
    {
        writer.Literal(",\"prev\":\""u8);
        Head.Format(writer.Take(Digest32.TextLength));
        writer.Literal("\""u8);
        Head = AuditFormat.Hash(sha256, Head, line[..writer.Length]);
        writer.Literal(",\"hash\":\""u8);
        Head.Format(writer.Take(Digest32.TextLength));
        writer.Literal("\"}\n"u8);
        Seq++;
        return writer.Length;
    }
}
