using System.Diagnostics;
using LicenseAgent.Chaos.Sweep;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>An experiment that is a crash-point sweep: <c>sweep</c> names scenarios, <c>strikes</c> what is done,
/// <c>layers</c> where, <c>smoke N</c> how many points of a layer a short run takes.</summary>
internal sealed class SweepSteps(Experiment experiment, bool sampled, Action<string> say)
{
    public async Task<ScriptOutcome> RunAsync(CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        SweepPlan plan = new(
            Words("sweep"), [.. Words("layers").Select(l => l.Replace('-', ' '))],
            [.. Words("strikes").Select(s => Enum.Parse<Strike>(s, ignoreCase: true))],
            sampled ? experiment.Steps.First(s => s.Verb == "smoke").Number(0) : 0);
        IReadOnlyList<PointOutcome> points = await new SweepRun(plan, say).RunAsync(cancel);
        int broken = points.Count(p => !p.Held), missed = points.Count(p => !p.Reached);

        // What the daemon does beside the scenario moves its last calls: a few may not come.
        string finding = broken > 0 ? $"{broken} of {points.Count} points are broken"
            : points.Count == 0 ? "there are no points"
            : missed * 4 > points.Count ? $"{missed} of {points.Count} points were not reached" : "";
        return new ScriptOutcome(experiment, finding, Stopwatch.GetElapsedTime(start), [], []) { Points = points };
    }

    private IReadOnlyList<string> Words(string verb) =>
        experiment.Steps.FirstOrDefault(s => s.Verb == verb)?.Words ?? [];
}
