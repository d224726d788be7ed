using LicenseAgent.Daemon.LocalApi.Peers;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

/// <summary>New connections of one user begin an even distance apart, and those of others do not wait for them.</summary>
public sealed class ArrivalPaceTests
{
    private static readonly TimeSpan s_apart = TimeSpan.FromSeconds(1.0 / ArrivalPace.PerSecond);

    private readonly ManualTime _time = new();

    [Fact]
    public void The_first_few_are_served_at_once_and_the_rest_in_turn()
    {
        ArrivalPace pace = new(_time);
        TimeSpan[] waits = [.. Enumerable.Range(0, ArrivalPace.Burst + 4).Select(_ => WaitOf(pace, 1))];

        Assert.All(waits.Take(ArrivalPace.Burst + 1), wait => Assert.Equal(TimeSpan.Zero, wait));
        Assert.Equal([s_apart, 2 * s_apart, 3 * s_apart], waits.TakeLast(3));
    }

    [Fact]
    public void A_user_does_not_wait_for_another()
    {
        ArrivalPace pace = new(_time);
        for (int i = 0; i < 64; i++)
            pace.DueOf(1);

        Assert.Equal(TimeSpan.Zero, WaitOf(pace, 2));
    }

    [Fact]
    public void Whoever_comes_at_the_pace_never_waits()
    {
        ArrivalPace pace = new(_time);
        for (int i = 0; i < 10_000; i++)
        {
            Assert.Equal(TimeSpan.Zero, WaitOf(pace, 1));
            _time.Advance(s_apart);
        }
    }

    [Fact]
    public void What_was_saved_up_is_no_more_than_the_first_few()
    {
        ArrivalPace pace = new(_time);
        pace.DueOf(1);
        _time.Advance(TimeSpan.FromHours(1));
        for (int i = 0; i <= ArrivalPace.Burst; i++)
            Assert.Equal(TimeSpan.Zero, WaitOf(pace, 1));

        Assert.Equal(s_apart, WaitOf(pace, 1));
    }

    [Fact]
    public void Users_without_number_are_forgotten_when_they_are_on_time_again()
    {
        ArrivalPace pace = new(_time);
        for (uint uid = 0; uid < 5_000; uid++)
        {
            Assert.Equal(TimeSpan.Zero, WaitOf(pace, uid));
            _time.Advance(s_apart);
        }
    }

    private TimeSpan WaitOf(ArrivalPace pace, uint uid) =>
        TimeSpan.FromTicks(pace.DueOf(uid) - _time.GetTimestamp());
}
