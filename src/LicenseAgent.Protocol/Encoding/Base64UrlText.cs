using System.Buffers;
using System.Buffers.Text;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>
/// Strict base64url (RFC 4648 §5): no padding, no blanks, no newlines, unused bits zero, so that every byte string has
/// exactly one text and a signed or hashed text cannot be varied without changing its bytes.
/// </summary>
public static class Base64UrlText
{
    private static readonly SearchValues<byte> Alphabet =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"u8);

    /// <summary>Length in characters of the text of <paramref name="byteCount"/> bytes.</summary>
    public static int EncodedLength(int byteCount) => ((byteCount * 4) + 2) / 3;

    /// <summary>Length in bytes of what a text of <paramref name="charCount"/> characters says.</summary>
    public static int DecodedLength(int charCount) => (int)((long)charCount * 3 / 4);

    /// <summary>The text of <paramref name="bytes"/>.</summary>
    public static string Encode(ReadOnlySpan<byte> bytes) => Base64Url.EncodeToString(bytes);

    /// <summary>Writes the text as ASCII.</summary>
    /// <returns>The number of bytes written.</returns>
    public static int Encode(ReadOnlySpan<byte> bytes, Span<byte> ascii) => Base64Url.EncodeToUtf8(bytes, ascii);

    /// <summary>Decodes into a new array; false for anything but the one text of some bytes.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> ascii, out byte[] bytes)
    {
        bytes = new byte[DecodedLength(ascii.Length)];
        if (TryDecode(ascii, bytes, out _))
            return true;
        bytes = [];
        return false;
    }

    /// <summary>Decodes into a new array; false for anything but the one text of some bytes.</summary>
    public static bool TryDecode(string? text, out byte[] bytes)
    {
        bytes = [];
        if (text is null)
            return false;
        byte[] ascii = ArrayPool<byte>.Shared.Rent(text.Length);
        try
        {
            return System.Text.Ascii.FromUtf16(text, ascii, out int written) == OperationStatus.Done
                && TryDecode(ascii.AsSpan(0, written), out bytes);
        }
        finally
        {
            // The text may be a secret's.
            ArrayPool<byte>.Shared.Return(ascii, clearArray: true);
        }
    }

    /// <summary>Decodes into <paramref name="bytes"/>; false if the text is not strict or does not fit.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> ascii, Span<byte> bytes, out int written)
    {
        written = 0;
        if (!IsCanonical(ascii) || bytes.Length < DecodedLength(ascii.Length))
            return false;
        return Base64Url.DecodeFromUtf8(ascii, bytes, out _, out written) == OperationStatus.Done
            && written == DecodedLength(ascii.Length);
    }

    /// <summary>Whether the text is the one text of some bytes.</summary>
    public static bool IsCanonical(ReadOnlySpan<byte> ascii)
    {
        // The library accepts padding, blanks and newlines; a length and alphabet check of our own does not.
        if (ascii.Length % 4 == 1 || ascii.ContainsAnyExcept(Alphabet))
            return false;
        return (ascii.Length % 4) switch
        {
            2 => (SextetOf(ascii[^1]) & 0b1111) == 0,
            3 => (SextetOf(ascii[^1]) & 0b0011) == 0,
            _ => true,
        };
    }

    private static int SextetOf(byte c) => c switch
    {
        >= (byte)'A' and <= (byte)'Z' => c - 'A',
        >= (byte)'a' and <= (byte)'z' => c - 'a' + 26,
        >= (byte)'0' and <= (byte)'9' => c - '0' + 52,
        (byte)'-' => 62,
        _ => 63,
    };
}
