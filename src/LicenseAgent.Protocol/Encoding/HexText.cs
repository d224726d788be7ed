namespace LicenseAgent.Protocol.Encoding;

/// <summary>Hexadecimal text, lower case only, so that equal bytes have equal texts.</summary>
public static class HexText
{
    /// <summary>The text of <paramref name="bytes"/>.</summary>
    public static string Encode(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);

    /// <summary>Decodes a text that fills <paramref name="bytes"/> exactly; upper case is refused.</summary>
    public static bool TryDecode(ReadOnlySpan<char> text, Span<byte> bytes)
    {
        if (text.Length != bytes.Length * 2)
            return false;
        for (int i = 0; i < bytes.Length; i++)
        {
            int high = ValueOf(text[2 * i]);
            int low = ValueOf(text[(2 * i) + 1]);
            if ((high | low) < 0)
                return false;
            bytes[i] = (byte)((high << 4) | low);
        }
        return true;
    }

    /// <summary>Decodes into a new array; false for odd length or any other character than 0-9 and a-f.</summary>
    public static bool TryDecode(string? text, out byte[] bytes)
    {
        bytes = [];
        if (text is null || text.Length % 2 != 0)
            return false;
        byte[] decoded = new byte[text.Length / 2];
        if (!TryDecode(text, decoded))
            return false;
        bytes = decoded;
        return true;
    }

    private static int ValueOf(char c) => c switch
    {
        >= '0' and <= '9' => c - '0',
        >= 'a' and <= 'f' => c - 'a' + 10,
        _ => -1,
    };
}
