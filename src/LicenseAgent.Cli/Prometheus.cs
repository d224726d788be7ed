using System.Globalization;

namespace LicenseAgent.Cli;

/// <summary>One line of metrics.</summary>
/// <param name="Name">With its labels, as written.</param>
internal readonly record struct Sample(string Name, double Value)
{
    /// <summary>A bucket of a histogram; its sum and count say as much to people.</summary>
    public bool IsBucket => Name.Contains("_bucket{", StringComparison.Ordinal);
}

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
                yield return new Sample(line[..value], number);
        }
    }

    public static double? Find(string text, string name)
    {
        foreach (Sample sample in Samples(text))
        {
            if (sample.Name == name)
                return sample.Value;
        }
        return null;
    }
}
