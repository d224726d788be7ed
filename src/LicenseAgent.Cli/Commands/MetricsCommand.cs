using System.CommandLine;
using System.Globalization;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Cli.Commands;

internal static class MetricsCommand
{
    private const string Prefix = "license_agent_";

    private static readonly string[] Heads = [$"METRIC ({Prefix}…)", "VALUE"];

    public static Command Create(AgentCalls calls) => calls.Bind(
        new Command("metrics", "The agent's metrics; --json prints them in Prometheus' text format"),
        (client, _, cancel) => client.MetricsAsync(cancel),
        (screen, text) => screen.Write(Blocks.Table(
            screen, Heads,
            Rows(Prometheus.Samples(text), screen, calls.Context.WallClock).Select(row => new[]
            {
                Blocks.Text(row.Name), Blocks.Text(row.Value),
            }))));

    /// <summary>A histogram is one row, without its buckets: how many, and the mean.</summary>
    private static IEnumerable<(string Name, string Value)> Rows(
        IEnumerable<Sample> samples, Screen screen, UtcTime now)
    {
        double sum = 0;
        foreach (Sample sample in samples.Where(sample => !sample.Family.EndsWith("_bucket", StringComparison.Ordinal)))
        {
            string name = sample.Family.StartsWith(Prefix, StringComparison.Ordinal)
                ? sample.Family[Prefix.Length..]
                : sample.Family;
            if (name.EndsWith("_seconds_sum", StringComparison.Ordinal))
                sum = sample.Value;
            else if (name.EndsWith("_seconds_count", StringComparison.Ordinal))
                yield return (name[..^"_count".Length] + sample.Labels, Mean(sample.Value, sum));
            else
                yield return (name + sample.Labels, Value(sample, screen, now));
        }
    }

    private static string Mean(double count, double seconds) => count == 0
        ? "0"
        : string.Create(CultureInfo.InvariantCulture, $"{count}, mean {seconds / count * 1000:0.###} ms");

    private static string Value(Sample sample, Screen screen, UtcTime now)
    {
        bool isTime = sample.Value > 0
            && (sample.Family.EndsWith("_timestamp_seconds", StringComparison.Ordinal)
                || sample.Family.EndsWith("_last_rotation", StringComparison.Ordinal));
        if (!isTime)
            return sample.Value.ToString(CultureInfo.InvariantCulture);
        UtcTime time = UtcTime.FromUnixSeconds((long)sample.Value);
        return Blocks.IsWide(screen) ? TimeText.Both(time, now) : TimeText.Relative(time, now);
    }
}
