using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Campaign;

/// <summary>How a run ended.</summary>
/// <param name="Escape">Something left the loop, or the harness itself broke: the run is worth nothing.</param>
internal sealed record RunOutcome(
    Plan Plan, IReadOnlyList<Violation> Violations, IReadOnlyList<Happening> History, TraceHash Trace, long Steps,
    double AgentHours, Exception? Escape)
{
    /// <summary>How often each invariant was judged, by its id.</summary>
    public IReadOnlyDictionary<string, long> Judged { get; init; } = new Dictionary<string, long>();

    public bool IsClean => Violations.Count == 0 && Escape is null;

    /// <summary>What it comes to as an exit code.</summary>
    public int Code => Escape switch
    {
        LeftTheLoopException => ExitCodes.NotDeterministic,
        not null => ExitCodes.HarnessError,
        null => Violations.Count == 0 ? ExitCodes.Ok : ExitCodes.Violation,
    };
}

/// <summary>Carries out a plan and judges it.</summary>
internal static class Runner
{
    public static RunOutcome Run(Plan plan) => Run(plan, _ => { });

    /// <param name="prepare">Looks at, or changes, the world before it begins: log lines, crash points.</param>
    public static RunOutcome Run(Plan plan, Action<SimWorld> prepare)
    {
        // The world is gone when its checkers come: what ten thousand agents held makes room for what is judged.
        Watched run = Watch(plan, prepare);
        List<Violation> violations = [];
        if (run.Escape is null)
        {
            violations.AddRange(AllCheckers.List.SelectMany(c => c.Check(run.Record)));
            if (!run.Ended)
            {
                violations.Add(new Violation("L00", run.EndUs, "all", "The run takes more steps than it may: something spins"));
            }
        }

        return new RunOutcome(
            plan, violations, run.Record.History, run.Trace, run.Steps,
            plan.Tills * (plan.Hours + (SimWorld.HealUs / 3_600_000_000.0)), run.Escape)
        {
            Judged = run.Record.Judged,
        };
    }

    private static Watched Watch(Plan plan, Action<SimWorld> prepare)
    {
        using SimWorld world = new(plan);
        prepare(world);
        Exception? escape = null;
        bool ended = false;
        try
        {
            ended = world.Run();
        }
        catch (Exception e)
        {
            // The root of a run: whatever comes here is the harness's or an escape, never a finding about the agent.
            escape = e;
        }

        LogAtEnd[] logs = [.. world.Tills.Select(till => new LogAtEnd(till.Id, till.Audit.Files))];
        SimLoop loop = world.Loop;
        return new Watched(
            new RunRecord(plan, world.History.All, logs), loop.Trace, loop.Steps, loop.NowUs, ended, escape);
    }

    /// <summary>What is left of a world.</summary>
    private sealed record Watched(
        RunRecord Record, TraceHash Trace, long Steps, long EndUs, bool Ended, Exception? Escape);
}
