using LicenseAgent.PosLoad.Load;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Report;
using LicenseAgent.PosLoad.Scenarios;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

public sealed class VerdictTests
{
    private static readonly Scenario Wanted = new(
        "a", "b", [new Phase(1, 1000)], Limits: new Limits(Failed: 0, P99Ms: 1, P999Ms: 5));

    [Fact]
    public void A_run_within_its_limits_is_met() => Assert.Equal("MET", Judge(Run(latencyUs: 800)).Text);

    [Fact]
    public void One_request_without_its_answer_is_not_met()
    {
        LoadResult run = Run(latencyUs: 800);
        run.Seconds[0].Wrong = 1;
        Assert.Equal("NOT MET", Judge(run).Text);
    }

    [Fact]
    public void A_p99_above_its_limit_is_not_met() => Assert.True(Judge(Run(latencyUs: 1200)).Failed);

    [Fact]
    public void The_limit_of_p999_follows_the_empty_handler_on_a_slow_machine()
    {
        LoadResult slow = Run(latencyUs: 500);
        slow.Seconds[0].Latency.Record(9000, 5);
        LoadResult empty = Run(latencyUs: 300);
        empty.Seconds[0].Latency.Record(4000, 5);
        Assert.False(new Verdict(Wanted, slow, empty).Failed);
        Assert.True(new Verdict(Wanted, slow, Run(latencyUs: 300)).Failed);
    }

    [Fact]
    public void A_generator_that_was_late_itself_voids_the_run()
    {
        LoadResult late = Run(latencyUs: 800);
        late.Seconds[0].Lag.Record(2000, 100);
        Assert.StartsWith("VOID", Judge(late).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_answer_is_not_excused_by_a_late_generator()
    {
        LoadResult late = Run(latencyUs: 800);
        late.Seconds[0].Lag.Record(2000, 100);
        late.Seconds[0].Refused = 1;
        Assert.Equal("NOT MET", Judge(late).Text);
    }

    [Fact]
    public void An_event_that_failed_is_not_met()
    {
        LoadResult run = Run(latencyUs: 800);
        run.Events.Add(new EventDone(1, "rotate", 0.1, "The rotation failed: no_contact."));
        Assert.True(Judge(run).Failed);
    }

    [Fact]
    public void Growth_an_hour_is_the_slope_of_the_second_half()
    {
        (double, double)[] points = [.. Enumerable.Range(0, 1000).Select(s => ((double)s, s < 500 ? s : 500 + (s / 360.0)))];
        Assert.Equal(10, Slope.PerHour(points), 6);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    public void What_leaks_raises_the_tops_of_a_sawtooth_and_what_is_collected_does_not(double leak)
    {
        // Teeth of 7 MiB, of 130 s at first and of 250 s later, as a collector that has found its rhythm makes them.
        (double, double)[] points = [.. Enumerable.Range(0, 3600).Select(s => ((double)s, Tooth(s) + (leak * s / 3600.0)))];
        Assert.InRange(Slope.OfTopsPerHour(points), leak - 2, leak + 2);
    }

    private static double Tooth(int second) => second < 2_600 ? second % 130 * 7 / 130.0 : (second - 2_600) % 250 * 7 / 250.0;

    [Fact]
    public void A_forged_token_differs_in_its_tag_alone()
    {
        const string Token = "a.b.c.d.AbcdefghijklmnopqrstuQ";
        string forged = TokenPool.Forge(Token);
        Assert.Equal("a.b.c.d.BbcdefghijklmnopqrstuQ", forged);
        Assert.NotEqual(forged, TokenPool.Forge(forged));
    }

    [Fact]
    public void Kinds_of_tokens_come_in_the_proportions_of_the_mix()
    {
        TokenPool pool = new(["r", "f1", "f2"], ["x"]);
        Func<PosRequest> next = pool.Requests(new TokenMix(Repeated: 90, Fresh: 5, Expired: 3, Forged: 2), 0, 1);
        IEnumerable<string> reasons = Enumerable.Range(0, 1000)
            .Select(_ => System.Text.Encoding.ASCII.GetString(next().Reason));
        Dictionary<string, int> counts = reasons.GroupBy(r => r).ToDictionary(g => g.Key, g => g.Count());
        Assert.Equal(950, counts["\"reason\":\"VALID\""]);
        Assert.Equal(30, counts["\"reason\":\"EXPIRED\""]);
        Assert.Equal(20, counts["\"reason\":\"INVALID_TOKEN\""]);
    }

    private static Verdict Judge(LoadResult run) => new(Wanted, run, baseline: null);

    private static LoadResult Run(long latencyUs)
    {
        LoadResult run = new("agent");
        LoadSecond second = new(0) { Due = 1000, Expected = 1000 };
        second.Latency.Record(latencyUs, 1000);
        second.Lag.Record(10, 1000);
        run.Seconds.Add(second);
        return run;
    }
}
