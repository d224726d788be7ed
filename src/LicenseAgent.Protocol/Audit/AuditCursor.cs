using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Audit;

/// <summary>
/// Reads a line from left to right. The first thing that is not as expected makes it not <see cref="Good"/> for ever
/// and everything read from then on empty, so that the caller asks once, at the end.
/// </summary>
internal ref struct AuditCursor(ReadOnlySpan<byte> text)
{
    private ReadOnlySpan<byte> rest = text;

    public bool Good { get; private set; } = true;

    public long Integer(ReadOnlySpan<byte> before)
    {
        Skip(before);
        int digits = rest.IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        digits = digits < 0 ? rest.Length : digits;
        if (digits is 0 or > 16 || (digits > 1 && rest[0] == '0'))
            return Fail();
        long value = 0;
        foreach (byte c in rest[..digits])
            value = (value * 10) + (c - '0');
        rest = rest[digits..];
        return value <= StrictJson.MaxInteger ? value : Fail();
    }

    public long? IntegerOrNull(ReadOnlySpan<byte> before)
    {
        Skip(before);
        return TrySkipNull() ? null : Integer(default);
    }

    public UtcTime Time(ReadOnlySpan<byte> before)
    {
        Skip(before);
        if (rest.Length < UtcTime.TextLength || !UtcTime.TryParse(rest[..UtcTime.TextLength], out UtcTime time))
        {
            Fail();
            return default;
        }
        rest = rest[UtcTime.TextLength..];
        return time;
    }

    public Digest32 Digest(ReadOnlySpan<byte> before)
    {
        Skip(before);
        if (rest.Length < Digest32.TextLength || !Digest32.TryParse(rest[..Digest32.TextLength], out Digest32 digest))
        {
            Fail();
            return default;
        }
        rest = rest[Digest32.TextLength..];
        return digest;
    }

    /// <summary>A text without its quotes, escapes as written; empty for null.</summary>
    public ReadOnlySpan<byte> Text(ReadOnlySpan<byte> before, bool nullable)
    {
        Skip(before);
        if (nullable && TrySkipNull())
            return default;
        Skip("\""u8);
        int end = 0;
        while (end < rest.Length && rest[end] != '"')
            end += rest[end] == '\\' ? Math.Max(1, EscapeLength(rest[end..])) : 1;
        if (end >= rest.Length)
        {
            Fail();
            return default;
        }
        ReadOnlySpan<byte> content = rest[..end];
        rest = rest[(end + 1)..];
        return content;
    }

    public ReadOnlySpan<byte> Rest(ReadOnlySpan<byte> before)
    {
        Skip(before);
        return rest;
    }

    /// <summary>Length of an escape in its one form at the start of a text; 0 for any other.</summary>
    public static int EscapeLength(ReadOnlySpan<byte> text)
    {
        if (text.Length < 2)
            return 0;
        if (text[1] is (byte)'"' or (byte)'\\' or (byte)'b' or (byte)'f' or (byte)'n' or (byte)'r' or (byte)'t')
            return 2;
        if (text.Length < 6 || !text.StartsWith("\\u00"u8) || text[4] is not ((byte)'0' or (byte)'1'))
            return 0;

        // Those with a short form, and U+0000, have no long one.
        bool good = text[4] == '0'
            ? text[5] is (>= (byte)'1' and <= (byte)'7') or (byte)'b' or (byte)'e' or (byte)'f'
            : text[5] is (>= (byte)'0' and <= (byte)'9') or (>= (byte)'a' and <= (byte)'f');
        return good ? 6 : 0;
    }

    private bool TrySkipNull()
    {
        if (!rest.StartsWith("null"u8))
            return false;
        rest = rest[4..];
        return true;
    }

    private void Skip(ReadOnlySpan<byte> expected)
    {
        if (rest.StartsWith(expected))
            rest = rest[expected.Length..];
        else
            Fail();
    }

    private long Fail()
    {
        Good = false;
        rest = default;
        return 0;
    }
}
