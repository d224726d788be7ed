using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>
/// A SHA-256 digest or MAC, 32 bytes, held inline. Its text, in JSON too, is 43 characters of base64url.
/// </summary>
[JsonConverter(typeof(Digest32Json))]
public readonly record struct Digest32
{
    /// <summary>Length in bytes.</summary>
    public const int Length = 32;

    /// <summary>Length of the text, in characters.</summary>
    public const int TextLength = 43;

    private readonly ulong a;
    private readonly ulong b;
    private readonly ulong c;
    private readonly ulong d;

    private Digest32(ReadOnlySpan<byte> bytes)
    {
        a = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        b = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        c = BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]);
        d = BinaryPrimitives.ReadUInt64BigEndian(bytes[24..]);
    }

    /// <summary>Takes exactly 32 bytes.</summary>
    public static Digest32 From(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Length);
        return new Digest32(bytes);
    }

    /// <summary>SHA-256 of <paramref name="content"/>.</summary>
    public static Digest32 Sha256(ReadOnlySpan<byte> content)
    {
        Span<byte> bytes = stackalloc byte[Length];
        SHA256.HashData(content, bytes);
        return new Digest32(bytes);
    }

    /// <summary>Reads the 43-character text, strictly.</summary>
    public static bool TryParse(ReadOnlySpan<byte> ascii, out Digest32 digest)
    {
        Span<byte> bytes = stackalloc byte[Length];
        bool good = ascii.Length == TextLength && Base64UrlText.TryDecode(ascii, bytes, out _);
        digest = good ? new Digest32(bytes) : default;
        return good;
    }

    /// <inheritdoc cref="TryParse(ReadOnlySpan{byte}, out Digest32)"/>
    public static bool TryParse(string? text, out Digest32 digest)
    {
        digest = default;
        Span<byte> ascii = stackalloc byte[TextLength];
        return text is { Length: TextLength }
            && System.Text.Ascii.FromUtf16(text, ascii, out _) == System.Buffers.OperationStatus.Done
            && TryParse(ascii, out digest);
    }

    /// <summary>Equality in a time that tells nothing about the digests: for MACs and stored token hashes.</summary>
    public bool FixedTimeEquals(Digest32 other) => ((a ^ other.a) | (b ^ other.b) | (c ^ other.c) | (d ^ other.d)) == 0;

    /// <summary>Writes the 32 bytes.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, a);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], b);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[16..], c);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[24..], d);
    }

    /// <summary>Writes the text as ASCII; the span must hold <see cref="TextLength"/> bytes.</summary>
    public void Format(Span<byte> ascii)
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        Base64UrlText.Encode(bytes, ascii);
    }

    /// <summary>64 lower-case hexadecimal characters.</summary>
    public string ToHex()
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        return HexText.Encode(bytes);
    }

    /// <summary>The 43-character text.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Length];
        CopyTo(bytes);
        return Base64UrlText.Encode(bytes);
    }
}
