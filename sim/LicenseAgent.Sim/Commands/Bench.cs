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
        watch.Restart();
        const int Seeds = 40;
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            Runner.Run(PlanMaker.Make(seed, Profile.Named("lite")));
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"lite: {Seeds / watch.Elapsed.TotalSeconds:f1} seeds/s"));
        return run.IsClean ? ExitCodes.Ok : ExitCodes.Violation;
    }
}
