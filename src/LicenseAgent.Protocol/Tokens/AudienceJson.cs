using System.Text.Json;
using System.Text.Json.Serialization;

namespace LicenseAgent.Protocol.Tokens;

/// <summary><c>aud</c> (RFC 7519 §4.1.3): one string, or an array of strings.</summary>
public sealed class AudienceJson : JsonConverter<IReadOnlyList<string>>
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Read(
        ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
            return [reader.GetString()!];
        if (reader.TokenType != JsonTokenType.StartArray)
            throw new JsonException("An audience is a string or an array of strings.");
        var audience = new List<string>();
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
            audience.Add(reader.GetString()!);
        return reader.TokenType == JsonTokenType.EndArray
            ? audience
            : throw new JsonException("An audience is a string or an array of strings.");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options)
    {
        if (value.Count == 1)
        {
            writer.WriteStringValue(value[0]);
            return;
        }
        writer.WriteStartArray();
        foreach (string agent in value)
            writer.WriteStringValue(agent);
        writer.WriteEndArray();
    }
}
