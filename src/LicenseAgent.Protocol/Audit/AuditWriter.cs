using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;

namespace LicenseAgent.Protocol.Audit;

/// <summary>Puts pieces of a line one after the other into a buffer that is large enough for any line.</summary>
internal ref struct AuditWriter(Span<byte> buffer)
{
    private readonly Span<byte> buffer = buffer;

    public int Length { get; private set; }

    public void Literal(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(buffer[Length..]);
        Length += bytes.Length;
    }

    public Span<byte> Take(int count)
    {
        Span<byte> taken = buffer.Slice(Length, count);
        Length += count;
        return taken;
    }

    public void Number(long value)
    {
        Utf8Formatter.TryFormat(value, buffer[Length..], out int written);
        Length += written;
    }

    public void Number(long? value)
    {
        if (value is { } number)
            Number(number);
        else
            Literal("null"u8);
    }

    /// <summary>ASCII that needs no escapes.</summary>
    public void Name(string name) => Length += System.Text.Encoding.ASCII.GetBytes(name, buffer[Length..]);

    public void Text(string? text, int maxBytes)
    {
        if (text is null)
            Literal("null"u8);
        else
            Length += AuditText.Write(text, buffer[Length..], maxBytes);
    }
}

/// <summary>
/// JSON texts in the one form a line may hold: UTF-8 as it is, escaped nothing but quote, backslash and controls, the
/// short escapes where there are some. U+0000 and halves of surrogate pairs become U+FFFD: a record is never refused.
/// </summary>
internal static class AuditText
{
    public const int OpMaxBytes = 128;
    public const int ValueMaxBytes = 1000;

    private static readonly SearchValues<byte> Special =
        SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(c => (byte)c), (byte)'"', (byte)'\\']);

    public static byte[] Quoted(string text, int maxBytes)
    {
        byte[] buffer = new byte[maxBytes + 8];
        return buffer[..Write(text, buffer, maxBytes)];
    }

    /// <summary>Writes the text in quotes; what is longer is cut and ends in <c>…</c>.</summary>
    public static int Write(ReadOnlySpan<char> text, Span<byte> into, int maxBytes)
    {
        into[0] = (byte)'"';
        OperationStatus status =
            Utf8.FromUtf16(text, into.Slice(1, maxBytes), out _, out int length, replaceInvalidSequences: true);
        if (status != OperationStatus.Done || into.Slice(1, length).ContainsAny(Special))
            length = WriteRunes(text, into[1..], maxBytes);
        into[length + 1] = (byte)'"';
        return length + 2;
    }

    private static int WriteRunes(ReadOnlySpan<char> text, Span<byte> into, int maxBytes)
    {
        int length = 0;
        Span<byte> one = stackalloc byte[6];
        foreach (Rune rune in text.EnumerateRunes())
        {
            int size = Escape(rune, one);
            if (length + size > maxBytes)
            {
                "…"u8.CopyTo(into[length..]);
                return length + 3;
            }
            one[..size].CopyTo(into[length..]);
            length += size;
        }
        return length;
    }

    private static int Escape(Rune rune, Span<byte> into)
    {
        byte letter = rune.Value switch
        {
            '"' => (byte)'"',
            '\\' => (byte)'\\',
            '\b' => (byte)'b',
            '\f' => (byte)'f',
            '\n' => (byte)'n',
            '\r' => (byte)'r',
            '\t' => (byte)'t',
            _ => 0,
        };
        if (letter != 0)
        {
            into[0] = (byte)'\\';
            into[1] = letter;
            return 2;
        }
        if (rune.Value is 0 or >= 0x20)
            return (rune.Value == 0 ? Rune.ReplacementChar : rune).EncodeToUtf8(into);
        "\\u00"u8.CopyTo(into);
        Utf8Formatter.TryFormat((byte)rune.Value, into[4..], out _, new StandardFormat('x', 2));
        return 6;
    }
}
