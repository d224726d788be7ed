using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Report;
using LicenseAgent.PosLoad.Scenarios;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

/// <summary>A fleet of factor 10, a minute of which is 6 s: 100 requests a second until 12 s, away until 18.4 s.</summary>
public sealed class RateByMinuteTests
{
    private const int Factor = 10, Steady = 600;

    private static readonly Scenario Wanted = new(
        "a", "b", [new Phase(60)], Limits: new Limits(RateFactor: 1.2, RotationsFailed: 0), Target: Targets.Server,
        Fleet: new FleetPlan(100, Action: FleetActions.Schedule, TimeFactor: Factor));

    [Fact]
    public void Minutes_count_from_the_moment_the_server_answers_again()
    {
        RateByMinute rates = RateByMinute.Of(Run(900, 720, 600), Factor)!;
        Assert.Equal(Steady, rates.Steady);
        Assert.Equal([900, 720, 600], rates.After);
    }

    [Fact]
    public void The_first_minute_after_the_return_is_not_judged() =>
        Assert.Equal("MET", new Verdict(Wanted, Run(6000, 720, 600), null).Text);

    [Fact]
    public void A_later_minute_above_the_factor_is_not_met()
    {
        Assert.Equal("NOT MET", new Verdict(Wanted, Run(600, 600, 726), null).Text);
        Assert.Equal(3, RateByMinute.Of(Run(600, 600, 726), Factor)!.WorstMinute);
    }

    [Fact]
    public void A_minute_that_is_not_over_is_left_out()
    {
        LoadResult run = Run(600, 600);
        run.Seconds.Add(new LoadSecond(32) { Due = 5000 });
        Assert.Equal([600, 600], RateByMinute.Of(run, Factor)!.After);
    }

    [Fact]
    public void Tries_while_nobody_was_there_are_no_requests()
    {
        LoadResult run = Run(600, 600);
        run.Seconds[20].Away = 10_000;
        Assert.Equal("MET", new Verdict(Wanted, run, null).Text);
    }

    [Fact]
    public void A_server_that_did_not_come_back_has_no_rate_after_it()
    {
        LoadResult run = Run(600);
        run.Events.RemoveAt(1);
        Assert.Null(RateByMinute.Of(run, Factor));
    }

    [Fact]
    public void A_limit_that_could_not_be_measured_is_not_met()
    {
        LoadResult run = Run(600);
        run.Events.RemoveAt(1);
        Assert.Equal("NOT MET", new Verdict(Wanted, run, null).Text);
    }

    [Fact]
    public void One_failed_rotation_is_not_met()
    {
        LoadResult run = Run(600, 600);
        run.Fleet = run.Fleet! with { RotationsFailed = 1 };
        Assert.Equal("NOT MET", new Verdict(Wanted, run, null).Text);
    }

    private static LoadResult Run(params int[] after)
    {
        LoadResult run = new("license server") { Fleet = new FleetTally(100, 50, 0, 0, Factor) };
        run.Events.Add(new EventDone(13.2, StageEvents.ServerKill, 0.1, ""));
        run.Events.Add(new EventDone(17.4, StageEvents.ServerStart, 1.0, ""));
        for (int second = 0; second < 19 + (6 * after.Length); second++)
        {
            int due = second < 12 ? Steady / 6 : second < 19 ? 0 : after[(second - 19) / 6] / 6;
            run.Seconds.Add(new LoadSecond(second) { Due = due, Expected = due });
        }

        return run;
    }
}
