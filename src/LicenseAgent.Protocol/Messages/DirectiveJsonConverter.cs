using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>Reads and writes <see cref="Directive"/> by its <c>type</c> member; unknown members are skipped.</summary>
internal sealed class DirectiveJsonConverter : JsonConverter<Directive>
{
    public override Directive Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("A directive is an object.");
        }

        string? type = null;
        UtcTime? until = null;
        long? version = null, above = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case "type": type = reader.GetString(); break;
                case "until": until = ReadTime(ref reader); break;
                case "version": version = reader.GetInt64(); break;
                case "above": above = reader.GetInt64(); break;
                default: reader.Skip(); break;
            }
        }

        return (type, until, version, above) switch
        {
            ("suspend", _, _, _) => new SuspendDirective(),
            ("limit_grace", { } t, _, _) => new LimitGraceDirective(t),
            ("invalidate_below", _, { } v, _) => new InvalidateBelowDirective(v),
            ("rotate_now", _, _, { } a) => new RotateNowDirective(a),
            ("re_enroll", _, _, _) => new ReEnrollDirective(),
            (null, _, _, _) => throw new JsonException("A directive needs a type."),
            ("limit_grace" or "invalidate_below" or "rotate_now", _, _, _) =>
                throw new JsonException($"The directive {type} lacks its member."),
            _ => new UnknownDirective(type),
        };
    }

    public override void Write(Utf8JsonWriter writer, Directive value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        switch (value)
        {
            case SuspendDirective: writer.WriteString("type", "suspend"); break;
            case LimitGraceDirective d:
                writer.WriteString("type", "limit_grace");
                writer.WriteString("until", d.Until.ToString());
                break;
            case InvalidateBelowDirective d:
                writer.WriteString("type", "invalidate_below");
                writer.WriteNumber("version", d.Version);
                break;
            case RotateNowDirective d:
                writer.WriteString("type", "rotate_now");
                writer.WriteNumber("above", d.Above);
                break;
            case ReEnrollDirective: writer.WriteString("type", "re_enroll"); break;
            default: throw new JsonException($"{value.GetType().Name} is never sent.");
        }

        writer.WriteEndObject();
    }

    private static UtcTime ReadTime(ref Utf8JsonReader reader) =>
        reader.GetString() is { } text && UtcTime.TryParse(text, out UtcTime time)
            ? time
            : throw new JsonException("A time has the form YYYY-MM-DDTHH:MM:SS.mmmZ.");
}
