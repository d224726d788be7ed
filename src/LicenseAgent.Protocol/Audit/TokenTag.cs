using System.Buffers.Binary;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Audit;

/// <summary>
/// What the log keeps of a token: the first 16 bytes of HMAC-SHA256 under the till's audit key. It tells two uses of
/// one token from uses of two, and gives away nothing to who does not hold the key and the token.
/// </summary>
public readonly record struct TokenTag
{
    /// <summary>Length in bytes.</summary>
    public const int Length = 16;

    /// <summary>Length of the text, in characters.</summary>
    public const int TextLength = 22;

    private readonly ulong high;
    private readonly ulong low;

    private TokenTag(ulong high, ulong low) => (this.high, this.low) = (high, low);

    /// <summary>The tag of a token as it was presented.</summary>
    public static TokenTag Of(ReadOnlySpan<byte> auditKey, ReadOnlySpan<byte> token)
    {
        Span<byte> mac = stackalloc byte[32];
        HMACSHA256.HashData(auditKey, token, mac);
        return From(mac[..Length]);
    }

    /// <summary>Takes exactly 16 bytes.</summary>
    public static TokenTag From(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Length);
        return new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
    }

    /// <summary>Writes the 22 characters as ASCII.</summary>
    public void Format(Span<byte> ascii)
    {
        Span<byte> bytes = stackalloc byte[Length];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, high);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], low);
        Base64UrlText.Encode(bytes, ascii);
    }

    /// <summary>The 22 characters.</summary>
    public override string ToString()
    {
        Span<byte> ascii = stackalloc byte[TextLength];
        Format(ascii);
        return System.Text.Encoding.ASCII.GetString(ascii);
    }
}
