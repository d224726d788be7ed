using System.Collections.Concurrent;
using System.Globalization;
using LicenseAgent.Testbed.Servers;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>Which points of which scenarios.</summary>
/// <param name="Layers">Beginnings of the layers' names; none: all.</param>
/// <param name="PerLayer">At most so many points of a layer, spread evenly; 0: every point.</param>
internal sealed record SweepPlan(
    IReadOnlyList<string> Scenarios, IReadOnlyList<string> Layers, IReadOnlyList<Strike> Strikes, int PerLayer);

/// <summary>Enumerates the points by a recording run, and strikes each on a copy of its own, two at a time a core: a point
/// waits half of its time.</summary>
internal sealed class SweepRun(SweepPlan plan, Action<string> say)
{
    private static readonly int s_atATime = 2 * Environment.ProcessorCount;

    public async Task<IReadOnlyList<PointOutcome>> RunAsync(CancellationToken cancel)
    {
        List<PointOutcome> all = [];
        foreach (Scenario scenario in Scenario.All.Where(s => plan.Scenarios.Contains(s.Name)))
        {
            using Snapshot snapshot = await scenario.PrepareAsync(cancel);
            PointRun run = new(scenario, snapshot);
            (CrashPoint Point, Strike Strike)[] chosen = [.. Choose(await run.EnumerateAsync(cancel))];
            say($"{scenario.Name}: {chosen.Length} points");
            ConcurrentQueue<PointOutcome> outcomes = [];
            await Parallel.ForEachAsync(
                chosen,
                new ParallelOptions { MaxDegreeOfParallelism = s_atATime, CancellationToken = cancel },
                async (at, stop) =>
                {
                    PointOutcome outcome = await run.RunAsync(at.Point, at.Strike, stop);
                    outcomes.Enqueue(outcome);
                    say(Line(outcome, outcomes.Count, chosen.Length));
                });
            say($"{scenario.Name}: medians in seconds: {Laps.Medians([.. outcomes.Select(o => o.Laps)])}");
            all.AddRange(outcomes.OrderBy(o => o.Point.Layer, StringComparer.Ordinal).ThenBy(o => o.Strike)
                .ThenBy(o => o.Point is CrashPoint.Call c ? c.Name : "").ThenBy(o => o.Point.Ordinal));
        }

        return all;
    }

    private static string Line(PointOutcome o, int done, int of) => string.Create(
        CultureInfo.InvariantCulture,
        $"{done,4}/{of} {o.Scenario} {o.Point.Layer} {o.Point.Ordinal} {o.Point.Label} "
        + $"{o.Strike.ToString().ToUpperInvariant()} {(o.Reached ? "" : "NOT REACHED ")}"
        + $"{(o.Held ? "held" : "BROKEN: " + o.Broken)} {o.Took.TotalSeconds:0.0} s");

    // A fault other than death is a system call's.
    private IEnumerable<(CrashPoint Point, Strike Strike)> Choose(IReadOnlyList<CrashPoint> points)
    {
        foreach (Strike strike in plan.Strikes)
        {
            foreach (var layer in points.Where(p => Fits(p, strike)).GroupBy(p => p.Layer))
            {
                if (plan.Layers.Count > 0 && !plan.Layers.Any(l => layer.Key.StartsWith(l, StringComparison.Ordinal)))
                    continue;
                IEnumerable<CrashPoint> members = plan.PerLayer == 0 ? layer : Sample([.. layer]);
                foreach (CrashPoint point in members)
                    yield return (point, strike);
            }
        }
    }

    // Spread by the golden ratio: an even step would fall into step with the calls that every replace of a file makes.
    private IEnumerable<CrashPoint> Sample(IReadOnlyList<CrashPoint> members) =>
        members.Index().OrderBy(m => m.Index * 0.6180339887 % 1).Take(plan.PerLayer).Select(m => m.Item);

    private static bool Fits(CrashPoint point, Strike strike) => point switch
    {
        _ when strike == Strike.Kill => true,
        CrashPoint.Call { Name: "fsync" or "fdatasync" } => strike == Strike.Eio,
        CrashPoint.Call => true,
        _ => false,
    };
}
