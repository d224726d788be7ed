using System.Text.Json;
using System.Text.Json.Serialization;

namespace LicenseAgent.Protocol.Json;

/// <summary>
/// An enum as one of its names, compared exactly. (The library's own converter also takes other cases and numbers.)
/// </summary>
public abstract class ExactNames<T> : JsonConverter<T>
    where T : struct, Enum
{
    private readonly (T Value, JsonEncodedText Name)[] names;

    private protected ExactNames(JsonNamingPolicy policy) =>
        names = [.. Enum.GetValues<T>().Select(v => (v, JsonEncodedText.Encode(policy.ConvertName(v.ToString()))))];

    /// <inheritdoc/>
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            foreach ((T value, JsonEncodedText name) in names)
            {
                if (reader.ValueTextEquals(name.EncodedUtf8Bytes))
                    return value;
            }
        }
        throw new JsonException("One of: " + string.Join(", ", names.Select(n => n.Name.Value)) + ".");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options)
    {
        foreach ((T known, JsonEncodedText name) in names)
        {
            if (EqualityComparer<T>.Default.Equals(known, value))
            {
                writer.WriteStringValue(name);
                return;
            }
        }
        throw new ProtocolException("enum_value");
    }
}

/// <summary><c>UnwrapFailed</c> is written <c>unwrap_failed</c>.</summary>
public sealed class SnakeCaseNames<T>() : ExactNames<T>(JsonNamingPolicy.SnakeCaseLower)
    where T : struct, Enum;

/// <summary><c>NotYetValid</c> is written <c>NOT_YET_VALID</c>.</summary>
public sealed class UpperCaseNames<T>() : ExactNames<T>(JsonNamingPolicy.SnakeCaseUpper)
    where T : struct, Enum;
