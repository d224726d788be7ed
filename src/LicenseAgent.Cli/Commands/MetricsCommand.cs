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
            Prometheus.Samples(text).Where(sample => !sample.IsBucket).Select(sample => new[]
            {
                Blocks.Text(Name(sample)), Blocks.Text(Value(sample, calls.Context.WallClock)),
            }))));

    private static string Name(Sample sample) =>
        sample.Name.StartsWith(Prefix, StringComparison.Ordinal) ? sample.Name[Prefix.Length..] : sample.Name;

    private static string Value(Sample sample, UtcTime now)
    {
        bool isTime = sample.Value > 0
            && (sample.Name.EndsWith("_timestamp_seconds", StringComparison.Ordinal)
                || sample.Name.EndsWith("_last_rotation", StringComparison.Ordinal));
        return isTime
            ? TimeText.Both(UtcTime.FromUnixSeconds((long)sample.Value), now)
            : sample.Value.ToString(CultureInfo.InvariantCulture);
    }
}
