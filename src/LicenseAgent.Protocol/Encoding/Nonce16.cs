using System.Buffers.Binary;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>A nonce: 16 bytes, held inline. Its text, in JSON too, is 22 characters of base64url.</summary>
[JsonConverter(typeof(Nonce16Json))]
public readonly record struct Nonce16
{
    /// <summary>Length in bytes.</summary>
    public const int Length = 16;

    /// <summary>Length of the text, in characters.</summary>
    public const int TextLength = 22;

    private readonly ulong high;
    private readonly ulong low;

    private Nonce16(ulong high, ulong low)
    {
        this.high = high;
        this.low = low;
    }

    /// <summary>Takes exactly 16 bytes.</summary>
    public static Nonce16 From(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Length);
        return new Nonce16(
            BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
    }

    /// <summary>Reads the 22-character text, strictly.</summary>
    public static bool TryParse(ReadOnlySpan<byte> ascii, out Nonce16 nonce)
    {
        Span<byte> bytes = stackalloc byte[Length];
        bool good = ascii.Length == TextLength && Base64UrlText.TryDecode(ascii, bytes, out _);
        nonce = good ? From(bytes) : default;
        return good;
    }

    /// <inheritdoc cref="TryParse(ReadOnlySpan{byte}, out Nonce16)"/>
    public static bool TryParse(string? text, out Nonce16 nonce)
    {
        nonce = default;
        Span<byte> ascii = stackalloc byte[TextLength];
        return text is { Length: TextLength }
            && System.Text.Ascii.FromUtf16(text, ascii, out _) == System.Buffers.OperationStatus.Done
            && TryParse(ascii, out nonce);
    }

    /// <summary>Writes the 16 bytes.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, high);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], low);
    }

    /// <summary>Writes the text as ASCII; the span must hold <see cref="TextLength"/> bytes.</summary>
    public void Format(Span<byte> ascii)
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        Base64UrlText.Encode(bytes, ascii);
    }

    /// <summary>The 22-character text.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        return Base64UrlText.Encode(bytes);
    }
}
