using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using Xunit;

namespace LicenseAgent.SimTests.Campaign;

/// <summary>The gate fires: what is not the same the second time is found, where it is, and told apart from a finding.</summary>
public sealed class DeterminismGateTests
{
    private static readonly Plan Short = PlanMaker.Make(5, Profile.Named("lite")) with { Hours = 1, Tills = 1, Faults = [] };

    private static int s_callsOfEveryRun;

    [Theory]
    [InlineData(1, 0)]
    [InlineData(1_000, 0)]
    [InlineData(1_001, 1)]
    [InlineData(2_000, 1)]
    [InlineData(2_500, 2)]
    public void Two_histories_that_differ_in_one_event_differ_from_its_thousand_on(int at, int mark)
    {
        Assert.Equal(mark, TraceHash.FirstDifference(Trace(2_500), Trace(2_500, different: at)));
        Assert.Equal(mark, TraceHash.FirstDifference(Trace(2_500, different: at), Trace(2_500)));
    }

    [Theory]
    [InlineData(2_500, 2_499, 2)]
    [InlineData(2_500, 1_999, 1)]
    [InlineData(2_000, 2_001, 2)]
    [InlineData(1, 0, 0)]
    public void A_history_that_ends_early_differs_where_it_ends(int one, int other, int mark) =>
        Assert.Equal(mark, TraceHash.FirstDifference(Trace(one), Trace(other)));

    [Fact]
    public void Events_that_changed_places_are_a_difference()
    {
        TraceHash one = new();
        TraceHash other = new();
        one.Add("till-0001");
        one.Add("till-0002");
        other.Add("till-0002");
        other.Add("till-0001");
        Assert.Equal(0, TraceHash.FirstDifference(one, other));
    }

    /// <summary>A run of the agent into which one thing from outside comes at each write of a file.</summary>
    [Theory]
    [InlineData("time")]
    [InlineData("chance")]
    [InlineData("what is left of another run")]
    public void A_run_into_which_something_comes_from_outside_is_not_deterministic(string what)
    {
        Func<long> outside = what switch
        {
            "time" => () => TimeProvider.System.GetTimestamp() & 0xFFFFF,
            "chance" => () => Guid.NewGuid().GetHashCode() & 0xFFFFF,
            _ => () => ++s_callsOfEveryRun,
        };
        SeedResult result = SeedResult.Of(Short, twice: true, plan => Leaking(plan, outside));
        Assert.Equal(ExitCodes.NotDeterministic, result.Code);
        Assert.StartsWith("two runs differ within events ", result.Trouble, StringComparison.Ordinal);
        Assert.Equal((0, 0, 0), (result.Findings.Count, result.Hits.Count, result.AgentHours));
    }

    [Fact]
    public void The_same_run_with_nothing_from_outside_is_clean()
    {
        SeedResult result = SeedResult.Of(Short, twice: true, plan => Leaking(plan, () => 7));
        Assert.Equal((ExitCodes.Ok, null), (result.Code, result.Trouble));
        Assert.NotEmpty(result.Hits);
    }

    [Fact]
    public void The_difference_is_told_by_its_thousand_of_events()
    {
        int run = 0;
        SeedResult result = SeedResult.Of(Short, twice: true, plan => Outcome(plan, Trace(3_000, different: ++run == 1 ? 2_345 : 0)));
        Assert.Equal(ExitCodes.NotDeterministic, result.Code);
        Assert.Equal("two runs differ within events 2000 to 3000", result.Trouble);
        Assert.Equal(2, run);
    }

    [Fact]
    public void What_broke_in_a_run_that_is_not_deterministic_is_no_finding()
    {
        int run = 0;
        Violation violation = new("I05", 1, "till-0001", "It was valid");
        SeedResult result = SeedResult.Of(
            Short, twice: true, plan => Outcome(plan, Trace(10, different: ++run), violation));
        Assert.Equal(ExitCodes.NotDeterministic, result.Code);
        Assert.Empty(result.Findings);
    }

    [Fact]
    public void A_seed_that_runs_once_is_carried_out_once()
    {
        int run = 0;
        Assert.Equal(ExitCodes.Ok, SeedResult.Of(
            Short, twice: false, plan => Outcome(plan, Trace(10, different: ++run))).Code);
        Assert.Equal(1, run);
    }

    [Fact]
    public void Code_that_left_the_loop_is_not_deterministic_and_any_other_error_is_the_harness_s()
    {
        Assert.Equal(ExitCodes.NotDeterministic, Of(new LeftTheLoopException("a pool")).Code);
        Assert.Equal(ExitCodes.HarnessError, Of(new InvalidOperationException("a slip")).Code);

        // Not run again: one trace of a run that is worth nothing says nothing.
        static SeedResult Of(Exception escape) => SeedResult.Of(
            Short, twice: true, plan => Outcome(plan, Trace(10)) with { Escape = escape });
    }

    [Theory]
    [InlineData("lite", 19, 50, true)]
    [InlineData("lite", 39, 50, true)]
    [InlineData("lite", 49, 50, false)]
    [InlineData("lite", 0, 1, true)]
    [InlineData("swarm", 4, 5, true)]
    [InlineData("degraded", 18, 19, true)]
    [InlineData("swarm", 3, 5, false)]
    [InlineData("fleet", 0, 1, false)]
    [InlineData("long", 4, 5, false)]
    [InlineData("long", 19, 20, true)]
    public void Of_a_campaign_every_twentieth_runs_twice_and_of_a_short_one_the_last(
        string profile, int index, int seeds, bool twice) =>
        Assert.Equal(twice, Workers.IsTwice(Profile.Named(profile), index, seeds));

    private static RunOutcome Leaking(Plan plan, Func<long> outside) => Runner.Run(plan, world =>
        world.Tills[0].PortCalled = name =>
        {
            if (name == "disk.replace")
            {
                world.Loop.After(outside(), () => { });
            }
        });

    private static RunOutcome Outcome(Plan plan, TraceHash trace, params Violation[] violations) =>
        new(plan, violations, [], trace, Steps: trace.Events, AgentHours: 1, Escape: null);

    /// <param name="different">The event, from 1, that is another one; 0: none.</param>
    private static TraceHash Trace(int events, int different = 0)
    {
        TraceHash trace = new();
        for (int i = 1; i <= events; i++)
        {
            trace.Add(i == different ? -i : i);
        }

        return trace;
    }
}
