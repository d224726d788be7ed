using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Audit;

/// <summary>
/// A line of the log taken apart where it stands, without its newline. Texts are spans as written, without quotes,
/// escapes kept. Nothing is known of the hash until <see cref="ComputeHash"/> was compared with <see cref="Hash"/>.
/// </summary>
public readonly ref struct AuditLine
{
    private const int TailLength = AuditFormat.PrevTail + AuditFormat.HashTail;

    private readonly ReadOnlySpan<byte> line;

    private AuditLine(ReadOnlySpan<byte> line, AuditCursor cursor, Digest32 prev, Digest32 hash)
    {
        this.line = line;
        Seq = cursor.Integer("{\"seq\":"u8);
        Time = cursor.Time(",\"time\":\""u8);
        UpMs = cursor.Integer("\",\"up\":"u8);
        Boot = cursor.Text(",\"boot\":"u8, nullable: false);
        Event = cursor.Text(",\"event\":"u8, nullable: false);
        Op = cursor.Text(",\"op\":"u8, nullable: true);
        ActorKind = cursor.Text(",\"actor\":{\"kind\":"u8, nullable: false);
        Uid = cursor.IntegerOrNull(",\"uid\":"u8);
        Gid = cursor.IntegerOrNull(",\"gid\":"u8);
        Pid = cursor.IntegerOrNull(",\"pid\":"u8);
        Role = cursor.Text(",\"role\":"u8, nullable: true);
        Outcome = cursor.Text("},\"outcome\":"u8, nullable: false);
        Details = cursor.Rest(",\"details\":"u8);
        Prev = prev;
        Hash = hash;
        IsWellFormed = cursor.Good && Details.Length >= 2 && Details[0] == '{' && Details[^1] == '}';
    }

    /// <summary>Number of the record, from 1.</summary>
    public long Seq { get; }

    /// <summary>Trusted now; it may go back from one record to the next.</summary>
    public UtcTime Time { get; }

    /// <summary>CLOCK_BOOTTIME in milliseconds.</summary>
    public long UpMs { get; }

    /// <summary>The kernel's boot id.</summary>
    public ReadOnlySpan<byte> Boot { get; }

    /// <summary>Name of the event.</summary>
    public ReadOnlySpan<byte> Event { get; }

    /// <summary>Request id or generation; empty for null.</summary>
    public ReadOnlySpan<byte> Op { get; }

    /// <summary><c>agent</c>, <c>app</c>, <c>operator</c>, <c>server</c> or <c>system</c>.</summary>
    public ReadOnlySpan<byte> ActorKind { get; }

    /// <summary>User id of the actor.</summary>
    public long? Uid { get; }

    /// <summary>Group id of the actor.</summary>
    public long? Gid { get; }

    /// <summary>Process id of the actor.</summary>
    public long? Pid { get; }

    /// <summary>Role of the actor; empty for null.</summary>
    public ReadOnlySpan<byte> Role { get; }

    /// <summary><c>ok</c>, <c>refused</c> or <c>failed</c>.</summary>
    public ReadOnlySpan<byte> Outcome { get; }

    /// <summary>The object, braces included.</summary>
    public ReadOnlySpan<byte> Details { get; }

    /// <summary>Hash of the record before, as this line states it.</summary>
    public Digest32 Prev { get; }

    /// <summary>Hash of this record, as it states it.</summary>
    public Digest32 Hash { get; }

    private bool IsWellFormed { get; }

    /// <summary>Beginning of a validation from its event to its UID.</summary>
    internal static ReadOnlySpan<byte> ValidationHead =>
        ",\"event\":\"license_validated\",\"op\":null,\"actor\":{\"kind\":\"app\",\"uid\":"u8;

    /// <summary>Beginning of a validation's details up to the nonce.</summary>
    internal static ReadOnlySpan<byte> ValidationNonce => ",\"details\":{\"nonce\":\""u8;

    /// <summary>
    /// Takes a line apart: members, their order and kinds. Cheap, and enough to find records in one's own log; who
    /// judges a line asks <see cref="IsCanonical"/> too.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<byte> line, out AuditLine record)
    {
        record = default;
        if (line.Length is <= TailLength or >= AuditFormat.MaxLineBytes)
            return false;
        var tail = new AuditCursor(line[^TailLength..]);
        Digest32 prev = tail.Digest(",\"prev\":\""u8);
        Digest32 hash = tail.Digest("\",\"hash\":\""u8);
        if (!tail.Rest(default).SequenceEqual("\"}"u8))
            return false;
        record = new AuditLine(line, new AuditCursor(line[..^TailLength]), prev, hash);
        return record.IsWellFormed;
    }

    /// <summary>
    /// Whether the line is the one way to write what it says: UTF-8, no blanks, escapes in their one form, details a
    /// strict JSON object, kind and outcome known, seq at least 1.
    /// </summary>
    public bool IsCanonical()
    {
        try
        {
            JsonScan.Check(Details);
        }
        catch (ProtocolException)
        {
            return false;
        }
        return Seq >= 1 && System.Text.Unicode.Utf8.IsValid(line) && !HasBlanksOrOtherEscapes(line)
            && (Outcome.SequenceEqual("ok"u8) || Outcome.SequenceEqual("refused"u8)
                || Outcome.SequenceEqual("failed"u8))
            && (ActorKind.SequenceEqual("agent"u8) || ActorKind.SequenceEqual("app"u8)
                || ActorKind.SequenceEqual("operator"u8) || ActorKind.SequenceEqual("server"u8)
                || ActorKind.SequenceEqual("system"u8));
    }

    /// <summary>The hash the line's bytes have.</summary>
    public Digest32 ComputeHash(IncrementalHash sha256) =>
        AuditFormat.Hash(sha256, Prev, line[..^AuditFormat.HashTail]);

    /// <summary>
    /// The nonce a validation or a renewal consumed. False for any other record, and for one whose details another
    /// writer laid out.
    /// </summary>
    public bool TryGetNonce(out uint uid, out Nonce16 nonce)
    {
        (uid, nonce) = (0, default);
        ReadOnlySpan<byte> text = Details;
        ReadOnlySpan<byte> head = ValidationNonce[11..];
        bool consumes = Event.SequenceEqual("license_validated"u8) || Event.SequenceEqual("license_renewal"u8);
        if (!consumes || Uid is not { } id || id > uint.MaxValue
            || !text.StartsWith(head) || text.Length < head.Length + Nonce16.TextLength + 1
            || text[head.Length + Nonce16.TextLength] != '"')
        {
            return false;
        }
        uid = (uint)id;
        return Nonce16.TryParse(text.Slice(head.Length, Nonce16.TextLength), out nonce);
    }

    private static bool HasBlanksOrOtherEscapes(ReadOnlySpan<byte> line)
    {
        bool inText = false;
        for (int i = 0; i < line.Length; i++)
        {
            byte c = line[i];
            if (inText ? c < ' ' : c <= ' ')
                return true;
            if (c == '"')
                inText = !inText;
            if (c != '\\' || !inText)
                continue;
            int length = AuditCursor.EscapeLength(line[i..]);
            if (length == 0)
                return true;
            i += length - 1;
        }
        return inText;
    }
}
