using System.Buffers;
using System.Globalization;
using System.Text;

namespace LicenseAgent.Daemon.Metrics;

/// <summary>Prometheus text format 0.0.4: families sorted by name, HELP and TYPE first, a newline at the end.</summary>
internal sealed class PrometheusText
{
    public const string Prefix = "license_agent_";

    private readonly List<PrometheusFamily> _families = [];

    /// <param name="name">None that is there already.</param>
    public PrometheusFamily Family(string name, string type, string help)
    {
        var family = new PrometheusFamily(Prefix + name, type, help);
        _families.Add(family);
        return family;
    }

    public void Counter(string name, string help, long value) => Family(name, "counter", help).Sample("", value);

    /// <summary>A gauge without labels; <see langword="null"/> leaves it out.</summary>
    public void Gauge(string name, string help, double? value)
    {
        if (value is { } known)
            Family(name, "gauge", help).Sample("", known);
    }

    public override string ToString()
    {
        _families.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        var text = new StringBuilder(_families.Sum(f => f.Length));
        foreach (PrometheusFamily family in _families)
            family.AppendTo(text);
        return text.ToString();
    }
}

/// <summary>One metric and its samples.</summary>
internal sealed class PrometheusFamily(string name, string type, string help)
{
    // Up to here a number without a fraction has no exponent.
    private const double PlainMax = 1e15;

    private static readonly SearchValues<char> s_escaped = SearchValues.Create("\\\"\n");

    private readonly StringBuilder _samples = new();

    public string Name => name;

    /// <summary>Characters of it, a few more at most.</summary>
    public int Length => (2 * name.Length) + type.Length + help.Length + 20 + _samples.Length;

    public void Sample(string suffix, double value, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        _samples.Append(name).Append(suffix);
        for (int i = 0; i < labels.Length; i++)
        {
            _samples.Append(i == 0 ? '{' : ',').Append(labels[i].Name).Append("=\"")
                .Append(Escape(labels[i].Value)).Append('"');
        }

        _samples.Append(labels.Length > 0 ? "} " : " ");
        if (Math.Abs(value) < PlainMax && value == Math.Floor(value))
            _samples.Append((long)value);
        else
            _samples.Append(Number(value));
        _samples.Append('\n');
    }

    public static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);

    public void AppendTo(StringBuilder text) =>
        text.Append("# HELP ").Append(name).Append(' ').Append(help)
            .Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n').Append(_samples);

    private static string Escape(string value) => !value.AsSpan().ContainsAny(s_escaped)
        ? value
        : value.Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
