using System.Text.Json;
using System.Text.Unicode;

namespace LicenseAgent.Protocol.Json;

/// <summary>
/// One pass over the text for what the serializer does not look at: encoding, surrogates, U+0000, the form of numbers,
/// depth, and duplicate names in members that are skipped as unknown.
/// </summary>
internal static class JsonScan
{
    public static void Check(ReadOnlySpan<byte> utf8)
    {
        if (utf8.StartsWith("\uFEFF"u8))
            throw new ProtocolException("json_bom");
        if (!Utf8.IsValid(utf8))
            throw new ProtocolException("json_utf8");
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = 64 });
        var names = new MemberNames(
            utf8, stackalloc (int, int)[MemberNames.Slots], stackalloc int[StrictJson.MaxDepth]);
        try
        {
            while (reader.Read())
                CheckToken(in reader, ref names);
        }
        catch (JsonException e)
        {
            throw new ProtocolException("json_syntax", inner: e);
        }
    }

    private static void CheckToken(in Utf8JsonReader reader, ref MemberNames names)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject or JsonTokenType.StartArray:
                if (reader.CurrentDepth >= StrictJson.MaxDepth)
                    throw new ProtocolException("json_depth");
                if (reader.TokenType == JsonTokenType.StartObject)
                    names.Open(reader.CurrentDepth);
                break;
            case JsonTokenType.PropertyName:
                CheckEscapes(in reader);
                if (!names.Add(in reader))
                    throw new ProtocolException("json_duplicate", JsonFault.Pointer(reader.GetString()!));
                break;
            case JsonTokenType.String:
                CheckEscapes(in reader);
                break;
            case JsonTokenType.Number:
                CheckNumber(reader.ValueSpan);
                break;
        }
    }

    private static void CheckNumber(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> digits = text[0] == '-' ? text[1..] : text;

        // Leading zeros are no JSON; 2^53 − 1 has 16 digits.
        bool good = digits.Length <= 16 && !digits.ContainsAnyExceptInRange((byte)'0', (byte)'9')
            && !(text[0] == '-' && digits[0] == '0')
            && (digits.Length < 16 || digits.SequenceCompareTo("9007199254740991"u8) <= 0);
        if (!good)
            throw new ProtocolException("json_number");
    }

    /// <summary>U+0000 and half a surrogate pair can only stand in a text as escapes; raw, they are no JSON.</summary>
    private static void CheckEscapes(in Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
            return;
        ReadOnlySpan<byte> rest = reader.ValueSpan;
        while (rest.IndexOf((byte)'\\') is >= 0 and var at)
        {
            rest = rest[at..];
            if (rest[1] != 'u')
            {
                rest = rest[2..];
                continue;
            }
            int unit = UnitOf(rest);
            bool high = unit is >= 0xD800 and <= 0xDBFF;
            bool paired = high && UnitOf(rest[6..]) is >= 0xDC00 and <= 0xDFFF;
            if (unit == 0 || (high && !paired) || unit is >= 0xDC00 and <= 0xDFFF)
                throw new ProtocolException("json_string");
            rest = rest[(paired ? 12 : 6)..];
        }
    }

    /// <summary>The code unit of an escape at the start of the text, or −1.</summary>
    private static int UnitOf(ReadOnlySpan<byte> text)
    {
        if (text.Length < 6 || text[0] != '\\' || text[1] != 'u')
            return -1;
        int unit = 0;
        foreach (byte c in text[2..6])
            unit = (unit << 4) | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        return unit;
    }
}
