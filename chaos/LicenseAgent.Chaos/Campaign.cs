using System.Globalization;
using LicenseAgent.Chaos.Report;
using LicenseAgent.Chaos.Scripts;

namespace LicenseAgent.Chaos;

/// <summary>Runs experiments one after the other: a line each, and one page about all.</summary>
internal sealed class Campaign(IReadOnlyList<Experiment> chosen, bool sampled, string report)
{
    /// <returns>0 when all held, 1 otherwise.</returns>
    public async Task<int> RunAsync(CancellationToken cancel)
    {
        List<ScriptOutcome> outcomes = [];
        try
        {
            foreach (Experiment experiment in chosen)
            {
                ScriptOutcome outcome = await RunAsync(experiment, cancel);
                outcomes.Add(outcome);
                Console.WriteLine(Line(outcome));
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            Console.WriteLine("Stopped; nothing is left behind.");
        }
        finally
        {
            string now = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
            HtmlReport.Write(report, outcomes, now);
            Console.WriteLine($"{HtmlReport.Summary(outcomes)}. Report: {report}");
        }

        return outcomes.Count == chosen.Count && outcomes.TrueForAll(o => o.Held) ? 0 : 1;
    }

    private async Task<ScriptOutcome> RunAsync(Experiment experiment, CancellationToken cancel)
    {
        if (experiment.IsSweep)
            return await new SweepSteps(experiment, sampled, Progress).RunAsync(cancel);
        if (experiment.IsLoad)
            return await new LoadSteps(experiment, Progress).RunAsync(cancel);
        await using ScriptRun run = new(experiment, Progress);
        return await run.RunAsync(cancel);
    }

    private static string Line(ScriptOutcome o) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(o.Held ? "held  " : "BROKEN")} {o.Experiment.Name,-28} {o.Took.TotalSeconds,5:0} s"
        + $"{(o.Points.Count > 0 ? $"  {o.Points.Count} points, {o.Points.Count(p => p.Reached)} reached" : "")}"
        + $"{(o.Held ? "" : "  " + o.Broken)}");

    private static void Progress(string what) => Console.WriteLine($"         {what}");
}
