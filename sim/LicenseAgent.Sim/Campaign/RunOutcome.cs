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
    public bool IsClean => Violations.Count == 0 && Escape is null;
}

/// <summary>Carries out a plan and judges it.</summary>
internal static class Runner
{
    public static RunOutcome Run(Plan plan) => Run(plan, _ => { });

    /// <param name="prepare">Looks at, or changes, the world before it begins: log lines, crash points.</param>
    public static RunOutcome Run(Plan plan, Action<SimWorld> prepare)
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

        List<Violation> violations = [];
        if (escape is null)
        {
            RunRecord record = new(plan, world.History.All, [.. world.Tills.Select(LogOf)]);
            violations.AddRange(AllCheckers.List.SelectMany(c => c.Check(record)));
            if (!ended)
            {
                violations.Add(new Violation("L00", world.Loop.NowUs, "all", "The run takes more steps than it may: something spins"));
            }
        }

        return new RunOutcome(
            plan, violations, world.History.All, world.Loop.Trace, world.Loop.Steps,
            plan.Tills * (plan.Hours + (SimWorld.HealUs / 3_600_000_000.0)), escape);
    }

    private static LogAtEnd LogOf(SimTill till) =>
        new(till.Id, [.. till.Audit.Closed.Select(c => c.Content), till.Audit.Newest.ToArray()]);
}
