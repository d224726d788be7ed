using System.Globalization;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Report;

/// <summary>One figure of the report.</summary>
/// <param name="Wanted">Empty when it is only shown.</param>
internal sealed record Finding(string Name, string Measured, string Wanted, bool? Met);

/// <summary>What the run means: every limit of the scenario beside what was measured.</summary>
internal sealed class Verdict
{
    private const double BaselineFactor = 3;

    // What a process still grows in its first minutes says nothing about an hour.
    private const double SlopeAfterSeconds = 600;

    private static readonly double[] s_shares = [0.5, 0.99, 0.999];

    private readonly List<Finding> _findings = [];

    public Verdict(Scenario scenario, LoadResult result, LoadResult? baseline)
    {
        Show("requests due", Count(result.Due));
        Limit("without the expected answer", result.Failed, scenario.Limits.Failed, Count);
        Rates(scenario, result, baseline);
        LatencyHistogram latency = result.Latency;
        Show("latency p50", Ms(latency.Quantile(0.5) / 1000.0));
        Limit("latency p99", latency.Quantile(0.99) / 1000.0, scenario.Limits.P99Ms, Ms);
        double? p999 = scenario.Limits.P999Ms is { } fixedLimit && baseline is not null
            ? Math.Max(fixedLimit, BaselineFactor * baseline.Latency.Quantile(0.999) / 1000.0)
            : scenario.Limits.P999Ms;
        Limit("latency p99.9", latency.Quantile(0.999) / 1000.0, p999, Ms);
        Show("latency, longest", Ms(latency.Max / 1000.0));
        if (baseline is { PerSecond: > 0 })
        {
            AtLeast("share of what it reached", result.PerSecond / baseline.PerSecond, scenario.Limits.BaselineShare, Share);
            Show("its processor time a connection", CpuEach(baseline));
            Show("the server's processor time", CpuEach(result));
        }
        else if (baseline is not null)
        {
            Show("empty handler p50 / p99 / p99.9", string.Join(" / ", s_shares
                .Select(q => Ms(baseline.Latency.Quantile(q) / 1000.0))));
        }

        foreach (EventDone e in result.Events)
        {
            Show(string.Create(CultureInfo.InvariantCulture, $"{e.Do} at {e.At:0.0} s"),
                e.Trouble.Length > 0 ? e.Trouble : Ms(e.Took * 1000));
            Failed |= e.Trouble.Length > 0;
        }

        if (result.Samples.Count > 0)
        {
            Process(scenario, result.Samples);
        }

        if (result.TpmLeft is { } left)
        {
            Limit("objects and sessions left in the TPM", left, scenario.Limits.TpmHandles, Count);
        }

        // Answers that were wrong are wrong however late the question was; times then say nothing.
        bool answersMissing = result.Failed > (scenario.Limits.Failed ?? long.MaxValue)
            || result.Events.Any(e => e.Trouble.Length > 0);
        Limit("own send lag p99", result.Lag.Quantile(0.99) / 1000.0, result.LagMaxMs, Ms);
        IsVoid = result.IsVoid && !answersMissing;
    }

    public IReadOnlyList<Finding> Findings => _findings;

    /// <summary>The generator was late itself: the figures mean nothing.</summary>
    public bool IsVoid { get; }

    public bool Failed { get; private set; }

    public string Text => IsVoid
        ? "VOID: the generator itself was late; the machine is too busy for this load"
        : Failed ? "NOT MET" : "MET";

    private void Process(Scenario scenario, List<ProcessSample> samples)
    {
        Limits limits = scenario.Limits;
        Limit("resident memory, most", samples.Max(s => s.ResidentMib), limits.MemoryMib, Mib);
        Show("anonymous memory, most", Mib(samples.Max(s => s.AnonymousMib)));
        Show($"{scenario.Target} CPU, mean", string.Create(CultureInfo.InvariantCulture, $"{samples.Average(s => s.CpuPercent):0} %"));
        if (samples[^1].Second - samples[0].Second < SlopeAfterSeconds)
        {
            return;
        }

        (double Second, double Mib)[] memory = [.. samples.Select(s => (s.Second, s.ResidentMib))];
        Limit("memory an hour, by slope of its tops", Slope.OfTopsPerHour(memory), limits.MemoryMibPerHour, Mib);
        Show("memory an hour, by slope of all of it", Mib(Slope.PerHour(memory)));
        Limit("descriptors an hour, by slope", Slope.PerHour([.. samples.Select(s => (s.Second, (double)s.Descriptors))]),
            limits.DescriptorsPerHour, Plain);
        Show("threads an hour, by slope",
            Plain(Slope.PerHour([.. samples.Select(s => (s.Second, (double)s.Threads))])));
    }

    /// <summary>What a closed phase reached, and what a fleet's schedule made of an outage.</summary>
    private void Rates(Scenario scenario, LoadResult result, LoadResult? baseline)
    {
        if (result.Seconds.Any(s => s.IsClosed))
        {
            AtLeast($"{scenario.Fleet!.Action} a second, at most", result.PerSecond, scenario.Limits.PerSecond, Count);
        }

        if (baseline is { PerSecond: > 0 })
        {
            Show($"{baseline.Target}, a second", Count(baseline.PerSecond));
        }

        if (result.Fleet is not { } fleet)
        {
            return;
        }

        Show("a minute of the fleet is", string.Create(CultureInfo.InvariantCulture, $"{60.0 / fleet.TimeFactor:0.#} s"));
        Show("rotations committed", Count(fleet.Rotations));
        Limit("rotations failed", fleet.RotationsFailed, scenario.Limits.RotationsFailed, Count);
        Show("agents not NORMAL at the end", Count(fleet.NotNormal));
        Show("tries while the server was away", Count(result.Seconds.Sum(s => s.Away)));
        if (RateByMinute.Of(result, fleet.TimeFactor) is not { } rates)
        {
            if (scenario.Limits.RateFactor is { } wanted)
            {
                Failed = true;
                _findings.Add(new Finding(
                    "most from the second minute on", "the server did not come back", "≤ " + Times(wanted), false));
            }

            return;
        }

        Show("steady, requests a minute", Count(rates.Steady));
        Show("minutes 1 … 10 after the return", string.Join(' ', rates.After.Take(10).Select(Count)));
        Limit("most from the second minute on", rates.WorstFromSecond, scenario.Limits.RateFactor, Times);
        Show("minute with the most", Count(rates.WorstMinute));
    }

    private void Show(string name, string measured) => _findings.Add(new Finding(name, measured, "", null));

    private void Limit(string name, double measured, double? limit, Func<double, string> text)
    {
        if (limit is not { } wanted)
        {
            Show(name, text(measured));
            return;
        }

        bool met = measured <= wanted;
        Failed |= !met;
        _findings.Add(new Finding(name, text(measured), "≤ " + text(wanted), met));
    }

    private void AtLeast(string name, double measured, double? limit, Func<double, string> text)
    {
        if (limit is not { } wanted)
        {
            Show(name, text(measured));
            return;
        }

        bool met = measured >= wanted;
        Failed |= !met;
        _findings.Add(new Finding(name, text(measured), "≥ " + text(wanted), met));
    }

    private static string CpuEach(LoadResult result) => result.Samples.Count == 0 ? "" : string.Create(
        CultureInfo.InvariantCulture,
        $"{result.Samples.Average(s => s.CpuPercent) * 10 / Math.Max(1, result.PerSecond):0.00} ms");

    private static string Share(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);

    private static string Times(double value) => value.ToString("0.00 'x'", CultureInfo.InvariantCulture);

    private static string Count(double value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Plain(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);

    private static string Mib(double value) => value.ToString("0.0 MiB", CultureInfo.InvariantCulture);

    private static string Ms(double value) =>
        value.ToString(value < 10 ? "0.00 'ms'" : "0.0 'ms'", CultureInfo.InvariantCulture);
}
