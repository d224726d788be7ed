using LicenseAgent.PosLoad.Scenarios;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

public sealed class ArrivalsTests
{
    private const long Nano = 1_000_000_000;

    [Fact]
    public void A_constant_rate_is_equally_far_apart() => Assert.Equal(
        [0, Nano / 4, Nano / 2, 3 * Nano / 4, Nano, 5 * Nano / 4, 3 * Nano / 2, 7 * Nano / 4],
        Times(new Phase(2, 4)));

    [Fact]
    public void A_ramp_sends_the_integral_of_its_rate()
    {
        long[] times = Times(new Phase(10, 1000, From: 0));
        Assert.Equal(5000, times.Length);
        Assert.Equal(1250, times.Count(t => t < 5 * Nano));
    }

    [Fact]
    public void A_ramp_down_ends_within_its_phase()
    {
        long[] times = Times(new Phase(10, 1, From: 1000));
        Assert.All(times, t => Assert.InRange(t, 0, 10 * Nano));
        Assert.Equal(times.Order(), times);
    }

    [Fact]
    public void Phases_follow_each_other() =>
        Assert.Equal([0, Nano / 2, Nano, Nano + (Nano / 4)], Times(new Phase(1, 2), new Phase(0.5, 4)));

    [Fact]
    public void The_workers_together_send_what_one_would()
    {
        Phase[] phases = [new Phase(3, 700, From: 20), new Phase(2, 100)];
        long[] together = [.. Enumerable.Range(0, 3).SelectMany(w => new Arrivals(phases, w, 3, 1).Times()).Order()];
        Assert.Equal(Times(phases), together);
    }

    [Fact]
    public void Poisson_arrivals_have_the_rate_and_spread_of_their_name()
    {
        Phase phase = new(1000, 100, Arrivals: "poisson");
        long[] times = Times(phase);
        double[] gaps = [.. times.Zip(times.Skip(1), (a, b) => (b - a) / (double)Nano)];
        double mean = gaps.Average(), deviation = Math.Sqrt(gaps.Average(g => (g - mean) * (g - mean)));
        Assert.InRange(times.Length, 98_500, 101_500);
        Assert.InRange(deviation / mean, 0.98, 1.02);
    }

    [Fact]
    public void The_same_seed_gives_the_same_times()
    {
        Phase[] phases = [new Phase(5, 50, Arrivals: "poisson")];
        Assert.Equal(new Arrivals(phases, 1, 2, 9).Times(), new Arrivals(phases, 1, 2, 9).Times());
        Assert.NotEqual(new Arrivals(phases, 0, 2, 9).Times(), new Arrivals(phases, 1, 2, 9).Times());
    }

    private static long[] Times(params Phase[] phases) => [.. new Arrivals(phases, 0, 1, seed: 1).Times()];
}
