using System.Text.Unicode;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>Limits of free text on the wire, in bytes of UTF-8, and the check that a text keeps them.</summary>
public static class LimitedText
{
    /// <summary><c>sub</c>, <c>jti</c>, <c>product</c>: 1 to 128 bytes.</summary>
    public const int NameMaxBytes = 128;

    /// <summary>A feature: 1 to 64 bytes.</summary>
    public const int FeatureMaxBytes = 64;

    /// <summary>A metadata key: 1 to 64 bytes.</summary>
    public const int MetadataKeyMaxBytes = 64;

    /// <summary>A metadata value: 0 to 512 bytes.</summary>
    public const int MetadataValueMaxBytes = 512;

    /// <summary>The <c>detail</c> of a refusal: 0 to 512 bytes.</summary>
    public const int DetailMaxBytes = 512;

    /// <summary>Features of one license.</summary>
    public const int MaxFeatures = 64;

    /// <summary>Metadata members of one license.</summary>
    public const int MaxMetadata = 32;

    /// <summary>Whether the text is well-formed UTF-16 without U+0000 of that many bytes in UTF-8.</summary>
    public static bool Fits(string? text, int minBytes, int maxBytes)
    {
        // A UTF-16 unit is at least one byte of UTF-8, so a longer text need not be looked at.
        if (text is null || text.Length > maxBytes || text.Contains('\0'))
            return false;
        Span<byte> utf8 = maxBytes <= 1024 ? stackalloc byte[maxBytes] : new byte[maxBytes];
        return Utf8.FromUtf16(text, utf8, out _, out int written, replaceInvalidSequences: false)
            == System.Buffers.OperationStatus.Done && written >= minBytes;
    }

    /// <summary>Throws unless the text <see cref="Fits"/>.</summary>
    /// <exception cref="ProtocolException"><c>text_length</c>, with the member.</exception>
    public static void Require(string? text, int minBytes, int maxBytes, string member)
    {
        if (!Fits(text, minBytes, maxBytes))
            throw new ProtocolException("text_length", member);
    }

    /// <summary>Whether the text is a <c>sub</c>, <c>jti</c> or <c>product</c>.</summary>
    public static bool IsName(string? text) => Fits(text, 1, NameMaxBytes);

    /// <summary>Whether the text is a <c>detail</c>.</summary>
    public static bool IsDetail(string? text) => Fits(text, 0, DetailMaxBytes);

    /// <summary>Cuts a text to at most <paramref name="maxBytes"/> of UTF-8, never inside a character.</summary>
    public static string Cut(string text, int maxBytes)
    {
        int bytes = 0;
        int chars = 0;
        foreach (System.Text.Rune rune in text.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > maxBytes)
                return text[..chars];
            chars += rune.Utf16SequenceLength;
        }
        return text;
    }
}
