using System.Diagnostics;
using System.Globalization;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Commands;

/// <summary>How fast it is: one till with a validation an hour, and seeds of <c>lite</c>.</summary>
internal static class Bench
{
    public static int Run(TextWriter output)
    {
        Plan till = new(Plan.CurrentFormat, 1, "bench", 1, 24 * 60, new Knobs(PosEveryS: 3_600), [], []);
        Runner.Run(till with { Hours = 24 });
        Stopwatch watch = Stopwatch.StartNew();
        RunOutcome run = Runner.Run(till);
        double years = run.AgentHours / 8_766;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"one till, a validation an hour: {years / watch.Elapsed.TotalSeconds:f3} agent-years/s, "
            + $"{run.Steps / watch.Elapsed.TotalSeconds / 1_000:f0} k steps/s"));
        CountCalls(till with { Hours = 24 * 7 }, output);
        watch.Restart();
        const int Seeds = 100;
        int jobs = Environment.ProcessorCount;
        bool clean = Workers.Judge(Profile.Named("lite"), 1, Seeds, jobs).All(r => r.Code == ExitCodes.Ok);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"lite, {jobs} processes: {Seeds / watch.Elapsed.TotalSeconds:f1} seeds/s"));
        return run.IsClean && clean ? ExitCodes.Ok : ExitCodes.Violation;
    }

    /// <summary>What a till's hour is made of.</summary>
    private static void CountCalls(Plan plan, TextWriter output)
    {
        SortedDictionary<string, long> calls = new(StringComparer.Ordinal);
        RunOutcome run = Runner.Run(plan, world => world.Tills[0].PortCalled =
            name => calls[name] = calls.GetValueOrDefault(name) + 1);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"in an hour: {run.Steps / run.AgentHours:f0} steps"));
        foreach ((string name, long count) in calls.OrderByDescending(c => c.Value))
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {count / run.AgentHours,8:f1}  {name}"));
        }
    }
}
