using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace LicenseAgent.Protocol.Json;

/// <summary>
/// The one way JSON enters and leaves: UTF-8 without byte-order mark, no duplicate member at any depth, at most 8
/// levels, no lone surrogate, no U+0000, only integers of at most 2^53 − 1 in their shortest form, every member
/// present.
/// Two parsers that disagree on a text are how signed bytes come to mean two things; a text that could be read in
/// two ways is refused.
/// </summary>
/// <remarks>
/// A source-generated context is instantiated with the options of this class:
/// <code>
/// [JsonSerializable(typeof(RotateRequest))]
/// public sealed partial class MessagesJson : JsonSerializerContext
/// {
///     public static MessagesJson Strict { get; } = new(StrictJson.RefuseUnknown());   // requests, tokens, files
///     public static MessagesJson Lenient { get; } = new(StrictJson.IgnoreUnknown());  // what clients and agents read
/// }
/// StrictJson.Read(body, MessagesJson.Strict.RotateRequest);
/// </code>
/// A constructor parameter without default must be present; one with default (and
/// <c>[property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]</c>) may be absent.
/// </remarks>
public static class StrictJson
{
    /// <summary>Deepest nesting of objects and arrays.</summary>
    public const int MaxDepth = 8;

    /// <summary>The largest integer, 2^53 − 1.</summary>
    public const long MaxInteger = (1L << 53) - 1;

    /// <summary>New options under which an unknown member is an error. One context per options object.</summary>
    public static JsonSerializerOptions RefuseUnknown() => Options(JsonUnmappedMemberHandling.Disallow);

    /// <summary>New options under which unknown members are skipped, so that N − 1 can talk to N.</summary>
    public static JsonSerializerOptions IgnoreUnknown() => Options(JsonUnmappedMemberHandling.Skip);

    /// <summary>Reads one value.</summary>
    /// <exception cref="ProtocolException">
    /// <c>json_bom json_utf8 json_syntax json_depth json_duplicate json_number json_string json_null json_missing
    /// json_unknown json_value</c>.
    /// </exception>
    public static T Read<T>(ReadOnlySpan<byte> utf8, JsonTypeInfo<T> type)
    {
        JsonScan.Check(utf8);
        try
        {
            return JsonSerializer.Deserialize(utf8, type) ?? throw new ProtocolException("json_null", "");
        }
        catch (JsonException e)
        {
            throw JsonFault.Classify(e, utf8, type);
        }
    }

    /// <summary>Writes one value, compact. What <see cref="Read{T}"/> would refuse is not written either.</summary>
    /// <exception cref="ProtocolException">As for reading: a number, text or nesting out of the limits.</exception>
    public static byte[] Write<T>(T value, JsonTypeInfo<T> type)
    {
        byte[] utf8 = JsonSerializer.SerializeToUtf8Bytes(value, type);
        JsonScan.Check(utf8);
        return utf8;
    }

    private static JsonSerializerOptions Options(JsonUnmappedMemberHandling unknown) => new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = unknown,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        MaxDepth = MaxDepth,

        // Never embedded in HTML, so nothing but what JSON itself demands is escaped: people read these with curl.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
}
