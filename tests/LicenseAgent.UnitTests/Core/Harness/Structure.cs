using System.Collections;
using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using System.Text;

namespace LicenseAgent.UnitTests.Core;

/// <summary>A value as text, member by member: equal texts are equal values, collections included.</summary>
internal static class Structure
{
    private static readonly ConcurrentDictionary<Type, PropertyInfo[]> Properties = new();

    public static string Of(object? value)
    {
        StringBuilder text = new();
        Write(text, value, 0);
        return text.ToString();
    }

    private static void Write(StringBuilder text, object? value, int depth)
    {
        if (depth > 30)
        {
            throw new InvalidOperationException($"{value?.GetType()} has no end.");
        }

        switch (value)
        {
            case null:
                text.Append("null");
                break;
            case string s:
                text.Append('"').Append(s).Append('"');
                break;
            case ReadOnlyMemory<byte> bytes:
                text.Append(Convert.ToHexString(bytes.Span));
                break;
            case IEnumerable items:
                text.Append('[');
                foreach (object? item in items)
                {
                    Write(text, item, depth + 1);
                    text.Append(',');
                }

                text.Append(']');
                break;
            case IFormattable or bool or Enum:
                text.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
            default:
                WriteMembers(text, value, depth);
                break;
        }
    }

    private static void WriteMembers(StringBuilder text, object value, int depth)
    {
        Type type = value.GetType();
        text.Append(type.Name).Append('{');
        if (IsPlain(type))
        {
            text.Append(value).Append('}');
            return;
        }

        foreach (FieldInfo field in IsTuple(type) ? type.GetFields() : [])
        {
            Write(text, field.GetValue(value), depth + 1);
            text.Append(',');
        }

        foreach (PropertyInfo property in IsTuple(type) ? [] : Members(type))
        {
            text.Append(property.Name).Append('=');
            Write(text, property.GetValue(value), depth + 1);
            text.Append(',');
        }

        text.Append('}');
    }

    // Time, digests and such: one value each, with a text that tells all of it.
    private static bool IsPlain(Type type) =>
        type.IsValueType && type.Namespace == "LicenseAgent.Protocol.Encoding";

    private static bool IsTuple(Type type) => type.FullName!.StartsWith("System.ValueTuple", StringComparison.Ordinal);

    private static PropertyInfo[] Members(Type type) => Properties.GetOrAdd(type, t =>
    [
        .. t.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.GetIndexParameters().Length == 0),
    ]);
}
