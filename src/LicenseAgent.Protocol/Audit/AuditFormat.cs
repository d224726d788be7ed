using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Audit;

/// <summary>
/// The audit log's lines: one JSON object a line, no blanks, members always in this order:
/// <code>
/// {"seq":…,"time":…,"up":…,"boot":…,"event":…,"op":…,"actor":{"kind","uid","gid","pid","role"},
///  "outcome":…,"details":{…},"prev":"…","hash":"…"}
/// </code>
/// <c>hash</c> = base64url SHA-256(32 raw bytes of <c>prev</c> ‖ the line's bytes from <c>{</c> up to, not including,
/// <c>,"hash":</c>). The hash is over bytes as they stand; nobody ever serialises a line again to check it.
/// </summary>
public static class AuditFormat
{
    /// <summary>Longest line, its newline included. What is written stays below by the limits of its parts.</summary>
    public const int MaxLineBytes = 16 * 1024;

    /// <summary>Name of the newest segment.</summary>
    public const string NewestSegment = "audit.log";

    // The least a disk writes at once, and half of it: nothing but a lost block is that long.
    private const int DiskBlockBytes = 512;
    private const int HoleBytesMin = 256;

    /// <summary>Bytes from <c>,"hash":</c> to the closing brace.</summary>
    internal const int HashTail = 8 + 1 + Digest32.TextLength + 1 + 1;

    /// <summary>Bytes from <c>,"prev":</c> to <c>,"hash":</c>.</summary>
    internal const int PrevTail = 8 + 1 + Digest32.TextLength + 1;

    /// <summary>
    /// <c>prev</c> of record 1: SHA-256(<c>license-agent/audit/v1|agent_id|thumbprint of the signing key</c>). Before
    /// enrolment both are empty.
    /// </summary>
    public static Digest32 Genesis(string agentId, string signingThumbprint) =>
        Digest32.Sha256(System.Text.Encoding.UTF8.GetBytes($"license-agent/audit/v1|{agentId}|{signingThumbprint}"));

    /// <summary>Name of a closed segment: <c>audit-&lt;first seq&gt;.log</c>.</summary>
    public static string SegmentName(long firstSeq) => $"audit-{firstSeq}.log";

    /// <summary>The first seq in the name of a closed segment.</summary>
    public static bool TryReadSegmentName(string name, out long firstSeq)
    {
        firstSeq = 0;
        return name.StartsWith("audit-", StringComparison.Ordinal)
            && name.EndsWith(".log", StringComparison.Ordinal)
            && long.TryParse(
                name.AsSpan(6, name.Length - 10), System.Globalization.NumberStyles.None,
                System.Globalization.CultureInfo.InvariantCulture, out firstSeq)
            && SegmentName(firstSeq) == name;
    }

    /// <summary>
    /// Whether a line, from where it begins in its file, is what blocks leave that never reached the disk: zeros to the
    /// end of a block, or more of them than one damaged byte or two would be.
    /// </summary>
    public static bool BeginsWithHole(ReadOnlySpan<byte> line, long offset)
    {
        int zeros = line.IndexOfAnyExcept((byte)0);
        return IsHole(zeros < 0 ? line.Length : zeros, offset);
    }

    internal static bool IsHole(long zeros, long offset) =>
        zeros >= HoleBytesMin || (zeros > 0 && (offset + zeros) % DiskBlockBytes == 0);

    /// <summary>The hash of a record.</summary>
    /// <param name="hashed">From <c>{</c> up to, not including, <c>,"hash":</c>.</param>
    internal static Digest32 Hash(IncrementalHash sha256, Digest32 prev, ReadOnlySpan<byte> hashed)
    {
        Span<byte> bytes = stackalloc byte[Digest32.Length];
        prev.CopyTo(bytes);
        sha256.AppendData(bytes);
        sha256.AppendData(hashed);
        sha256.GetHashAndReset(bytes);
        return Digest32.From(bytes);
    }
}
