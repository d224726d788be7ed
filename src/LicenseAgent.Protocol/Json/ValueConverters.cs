using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Json;

/// <summary>JSON form of <see cref="UtcTime"/>: a string of exactly 24 characters.</summary>
public sealed class UtcTimeJson : JsonConverter<UtcTime>
{
    /// <inheritdoc/>
    public override UtcTime Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[UtcTime.TextLength];
        return FixedText.TryRead(ref reader, text) && UtcTime.TryParse(text, out UtcTime time)
            ? time
            : throw new JsonException("A time is written YYYY-MM-DDTHH:MM:SS.mmmZ.");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, UtcTime value, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[UtcTime.TextLength];
        value.Format(text);
        writer.WriteStringValue(text);
    }
}

/// <summary>JSON form of <see cref="Nonce16"/>: a string of exactly 22 characters.</summary>
public sealed class Nonce16Json : JsonConverter<Nonce16>
{
    /// <inheritdoc/>
    public override Nonce16 Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[Nonce16.TextLength];
        return FixedText.TryRead(ref reader, text) && Nonce16.TryParse(text, out Nonce16 nonce)
            ? nonce
            : throw new JsonException("16 bytes are written as 22 characters of base64url.");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Nonce16 value, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[Nonce16.TextLength];
        value.Format(text);
        writer.WriteStringValue(text);
    }
}

/// <summary>JSON form of <see cref="Digest32"/>: a string of exactly 43 characters.</summary>
public sealed class Digest32Json : JsonConverter<Digest32>
{
    /// <inheritdoc/>
    public override Digest32 Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[Digest32.TextLength];
        return FixedText.TryRead(ref reader, text) && Digest32.TryParse(text, out Digest32 digest)
            ? digest
            : throw new JsonException("32 bytes are written as 43 characters of base64url.");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Digest32 value, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[Digest32.TextLength];
        value.Format(text);
        writer.WriteStringValue(text);
    }
}

/// <summary>JSON form of <see cref="Kcv"/>: a string of exactly 16 lower-case hexadecimal characters.</summary>
public sealed class KcvJson : JsonConverter<Kcv>
{
    /// <inheritdoc/>
    public override Kcv Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[Kcv.TextLength];
        Span<char> chars = stackalloc char[Kcv.TextLength];
        return FixedText.TryRead(ref reader, text)
            && System.Text.Ascii.ToUtf16(text, chars, out _) == System.Buffers.OperationStatus.Done
            && Kcv.TryParse(chars, out Kcv kcv)
                ? kcv
                : throw new JsonException("A key check value is written as 16 lower-case hexadecimal characters.");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Kcv value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}

internal static class FixedText
{
    /// <summary>Unescapes a string that fills <paramref name="text"/> exactly.</summary>
    public static bool TryRead(ref Utf8JsonReader reader, scoped Span<byte> text)
    {
        if (reader.TokenType != JsonTokenType.String || reader.HasValueSequence)
            return false;
        if (!reader.ValueIsEscaped)
            return reader.ValueSpan.Length == text.Length && reader.ValueSpan.TryCopyTo(text);

        // The longest escape of one ASCII character is six; unescaping never makes a text longer.
        Span<byte> unescaped = stackalloc byte[64 * 6];
        return reader.ValueSpan.Length <= unescaped.Length
            && reader.CopyString(unescaped) == text.Length
            && unescaped[..text.Length].TryCopyTo(text);
    }
}
