using System.Globalization;

namespace LicenseAgent.Cli;

/// <summary>One line of metrics.</summary>
/// <param name="Labels">In their braces, as written; empty where there are none.</param>
internal readonly record struct Sample(string Family, string Labels, double Value);

/// <summary>Prometheus text format 0.0.4, as far as the agent writes it.</summary>
internal static class Prometheus
{
    public static IEnumerable<Sample> Samples(string text)
    {
        foreach (string line in text.Split('\n'))
        {
            int value = line.LastIndexOf(' ');
            if (line.StartsWith('#') || value <= 0)
                continue;
            ReadOnlySpan<char> digits = line.AsSpan(value + 1);
            if (double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
            {
                int labels = line.IndexOf('{', StringComparison.Ordinal) is >= 0 and var brace ? brace : value;
                yield return new Sample(line[..labels], line[labels..value], number);
            }
        }
    }

    /// <summary>The value of a metric without labels.</summary>
    public static double? Find(string text, string name)
    {
        foreach (Sample sample in Samples(text))
        {
            if (sample.Family == name && sample.Labels.Length == 0)
                return sample.Value;
        }
        return null;
    }
}
