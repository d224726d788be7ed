using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Jose;

/// <summary>The dot-separated segments of a compact token.</summary>
internal static class Segments
{
    /// <summary>
    /// Splits at dots; returns how many segments there are, at most the length of <paramref name="segments"/>: provide
    /// one more than expected, so that one too many shows.
    /// </summary>
    public static int Split(ReadOnlySpan<byte> token, Span<Range> segments)
    {
        int count = 0;
        int start = 0;
        while (count < segments.Length)
        {
            int dot = token[start..].IndexOf((byte)'.');
            int end = dot < 0 ? token.Length : start + dot;
            segments[count++] = start..end;
            if (dot < 0)
                break;
            start = end + 1;
        }
        return count;
    }

    /// <summary>A compact JWE; <paramref name="head"/> is text already, the other parts are encoded here.</summary>
    public static byte[] Join(
        ReadOnlySpan<byte> head, ReadOnlySpan<byte> key, ReadOnlySpan<byte> iv, ReadOnlySpan<byte> ciphertext,
        ReadOnlySpan<byte> tag)
    {
        byte[] token = new byte[head.Length + 4 + Base64UrlText.EncodedLength(key.Length)
            + Base64UrlText.EncodedLength(iv.Length) + Base64UrlText.EncodedLength(ciphertext.Length)
            + Base64UrlText.EncodedLength(tag.Length)];
        head.CopyTo(token);
        int end = head.Length;
        end = Append(token, end, key);
        end = Append(token, end, iv);
        end = Append(token, end, ciphertext);
        Append(token, end, tag);
        return token;
    }

    private static int Append(byte[] token, int end, ReadOnlySpan<byte> part)
    {
        token[end++] = (byte)'.';
        return end + Base64UrlText.Encode(part, token.AsSpan(end));
    }
}
