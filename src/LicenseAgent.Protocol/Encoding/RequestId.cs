using System.Buffers.Binary;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>
/// The id of an operation across all its retries: a UUID version 7 (RFC 9562 §5.7) as lower-case text. Its time part
/// sorts logs; nobody relies on it.
/// </summary>
public static class RequestId
{
    /// <summary>Length of the text, in characters.</summary>
    public const int Length = 36;

    /// <summary>Whether the text is a lower-case UUID of version 7.</summary>
    public static bool IsValid(string? text)
    {
        if (text is not { Length: Length } || text[14] != '7' || text[19] is not ('8' or '9' or 'a' or 'b'))
            return false;
        for (int i = 0; i < Length; i++)
        {
            bool good = i is 8 or 13 or 18 or 23
                ? text[i] == '-'
                : text[i] is (>= '0' and <= '9') or (>= 'a' and <= 'f');
            if (!good)
                return false;
        }
        return true;
    }

    /// <summary>Makes an id of a time and ten random bytes (74 of their 80 bits are used).</summary>
    public static string From(UtcTime time, ReadOnlySpan<byte> random10)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(random10.Length, 10);
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, (ulong)Math.Max(0, time.UnixMs) << 16);
        random10.CopyTo(bytes[6..]);
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x70);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString("D");
    }
}
