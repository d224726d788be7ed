using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace LicenseAgent.Protocol.Json;

/// <summary>Turns the serializer's refusal into a code and a JSON pointer. Runs on the refusal path only.</summary>
internal static class JsonFault
{
    public static ProtocolException Classify(JsonException cause, ReadOnlySpan<byte> utf8, JsonTypeInfo type)
    {
        if (type.Kind == JsonTypeInfoKind.Object && TopLevelNames(utf8) is { } present)
        {
            foreach (JsonPropertyInfo property in type.Properties)
            {
                if (property.IsRequired && !present.Contains(property.Name))
                    return new ProtocolException("json_missing", Pointer(property.Name), cause);
            }
            bool refusesUnknown = type.UnmappedMemberHandling is null
                ? type.Options.UnmappedMemberHandling == JsonUnmappedMemberHandling.Disallow
                : type.UnmappedMemberHandling == JsonUnmappedMemberHandling.Disallow;
            if (refusesUnknown)
            {
                present.ExceptWith(type.Properties.Select(p => p.Name));
                if (present.Count > 0)
                    return new ProtocolException("json_unknown", Pointer(present.Min(StringComparer.Ordinal)!), cause);
            }
        }
        return new ProtocolException("json_value", PointerOfPath(cause.Path), cause);
    }

    /// <summary>One step of a JSON pointer (RFC 6901 §3).</summary>
    public static string Pointer(string name) =>
        "/" + name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);

    /// <summary>Null when the text is no object.</summary>
    private static HashSet<string>? TopLevelNames(ReadOnlySpan<byte> utf8)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var reader = new Utf8JsonReader(utf8);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            names.Add(reader.GetString()!);
            reader.Skip();
        }
        return names;
    }

    /// <summary>"$.a[0]['b.c']" as "/a/0/b.c".</summary>
    private static string PointerOfPath(string? path)
    {
        if (path is null || !path.StartsWith('$'))
            return "";
        var pointer = new System.Text.StringBuilder();
        ReadOnlySpan<char> rest = path.AsSpan(1);
        while (rest.Length > 0)
        {
            ReadOnlySpan<char> step;
            if (rest.StartsWith("['") && rest.IndexOf("']") is > 0 and var quoteEnd)
            {
                step = rest[2..quoteEnd];
                rest = rest[(quoteEnd + 2)..];
            }
            else if (rest[0] == '[' && rest.IndexOf(']') is > 0 and var end)
            {
                step = rest[1..end];
                rest = rest[(end + 1)..];
            }
            else
            {
                rest = rest[1..];
                int next = rest.IndexOfAny('.', '[');
                step = next < 0 ? rest : rest[..next];
                rest = next < 0 ? [] : rest[next..];
            }
            pointer.Append(Pointer(step.ToString()));
        }
        return pointer.ToString();
    }
}
