using System.Globalization;
using System.Text;

namespace LicenseAgent.Daemon.Metrics;

/// <summary>Prometheus text format 0.0.4: families sorted by name, HELP and TYPE first, a newline at the end.</summary>
internal sealed class PrometheusText
{
    public const string Prefix = "license_agent_";

    private readonly SortedDictionary<string, PrometheusFamily> _families = new(StringComparer.Ordinal);

    public PrometheusFamily Family(string name, string type, string help)
    {
        var family = new PrometheusFamily(Prefix + name, type, help);
        _families.Add(family.Name, family);
        return family;
    }

    public void Counter(string name, string help, long value) => Family(name, "counter", help).Sample("", value);

    /// <summary>A gauge without labels; <see langword="null"/> leaves it out.</summary>
    public void Gauge(string name, string help, double? value)
    {
        if (value is { } known)
            Family(name, "gauge", help).Sample("", known);
    }

    public override string ToString() => string.Concat(_families.Values);
}

/// <summary>One metric and its samples.</summary>
internal sealed class PrometheusFamily(string name, string type, string help)
{
    private readonly StringBuilder _samples = new();

    public string Name => name;

    public void Sample(string suffix, double value, params (string Name, string Value)[] labels)
    {
        _samples.Append(name).Append(suffix);
        for (int i = 0; i < labels.Length; i++)
        {
            _samples.Append(i == 0 ? '{' : ',').Append(labels[i].Name).Append("=\"")
                .Append(Escape(labels[i].Value)).Append('"');
        }

        _samples.Append(labels.Length > 0 ? "} " : " ").Append(Number(value)).Append('\n');
    }

    public static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);

    public override string ToString() => $"# HELP {name} {help}\n# TYPE {name} {type}\n{_samples}";

    private static string Escape(string value) => value.Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
