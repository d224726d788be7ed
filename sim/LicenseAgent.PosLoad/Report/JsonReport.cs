using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Report;

/// <summary>The run for programs: the same figures as the page, and every second.</summary>
internal sealed record JsonReport(
    Scenario Scenario, string Machine, string Verdict, IReadOnlyList<Finding> Figures, IReadOnlyList<JsonTarget> Targets)
{
    public static byte[] Bytes(
        Scenario scenario, Verdict verdict, LoadResult result, LoadResult? baseline, string machine) =>
        JsonSerializer.SerializeToUtf8Bytes(
            new JsonReport(scenario, machine, verdict.Text, verdict.Findings,
                [.. new[] { result, baseline }.OfType<LoadResult>().Select(JsonTarget.Of)]),
            ReportJsonContext.Default.JsonReport);
}

/// <summary>One target; latencies in microseconds from the time a request was due.</summary>
internal sealed record JsonTarget(
    string Target, long Due, long Expected, long Failed, IReadOnlyDictionary<string, long> LatencyUs,
    IReadOnlyList<JsonSecond> Seconds, IReadOnlyList<ProcessSample> Process, IReadOnlyList<EventDone> Events,
    IReadOnlyCollection<string> Troubles)
{
    public static JsonTarget Of(LoadResult r)
    {
        LatencyHistogram all = r.Latency;
        return new JsonTarget(
            r.Target, r.Due, r.Expected, r.Failed,
            new Dictionary<string, long>
            {
                ["p50"] = all.Quantile(0.5),
                ["p90"] = all.Quantile(0.9),
                ["p99"] = all.Quantile(0.99),
                ["p999"] = all.Quantile(0.999),
                ["p9999"] = all.Quantile(0.9999),
                ["max"] = all.Max,
            },
            [
                .. r.Seconds.OrderBy(s => s.Second).Select(s => new JsonSecond(
                    s.Second, s.Due, s.Expected, s.Wrong, s.Refused, s.Broken, s.Away, s.Latency.Quantile(0.5),
                    s.Latency.Quantile(0.99), s.Latency.Max, s.Lag.Quantile(0.99))),
            ],
            r.Samples, r.Events, r.Troubles);
    }
}

internal sealed record JsonSecond(
    int Second, long Due, long Expected, long Wrong, long Refused, long Broken, long Away, long P50Us, long P99Us, long MaxUs,
    long LagP99Us);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(JsonReport))]
internal sealed partial class ReportJsonContext : JsonSerializerContext;
