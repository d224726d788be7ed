using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>
/// I14: between two contacts trusted now advances at least as fast as the agent runs, whatever is done with power,
/// clocks, and the disk while the till is off. I15: with a sane clock and contact all is well again.
/// </summary>
public sealed class GraceBoundTests
{
    private const int Depth = 4;

    private static readonly TimeSpan AlmostAnHour = TimeSpan.FromSeconds((59 * 60) + 59);
    private static readonly TimeSpan BeyondAMirror = TimeSpan.FromHours(7) + TimeSpan.FromSeconds(59);
    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    private static readonly UtcTime Nineteen70 = Given.Time("1970-01-01T00:00:00.000Z");

    private static readonly (string Name, Action<HostileTill> Do)[] Moves =
    [
        ("run 1 h", till => till.RunFor(AlmostAnHour)),
        ("run 7 h", till => till.RunFor(BeyondAMirror)),
        ("cut, battery out", till => CutIn1970(till, till.Run)),
        ("cut, run.json put back", till => CutIn1970(till, till.Copied ?? till.Run)),
        ("cut, run.json deleted", till => CutIn1970(till, null)),
        ("off for 60 h", till => till.Cut(TimeSpan.FromHours(60), till.Run)),
        ("wall clock back 30 days", till => till.WallError -= TimeSpan.FromDays(30)),
        ("asleep for 60 h", till => till.Sleep(TimeSpan.FromHours(60))),
        ("disk full", till => till.DiskIsFull = true),
    ];

    private static BoundState Bound => Given.Bound(Given.Active(1) with
    {
        ValidUntil = Given.Start + TimeSpan.FromDays(3),
        GraceUntil = Given.Start + TimeSpan.FromDays(10),
    });

    [Fact]
    public void I14_no_sequence_of_moves_makes_trusted_now_run_slower_than_the_agent()
    {
        int paths = 0;
        Explore(new HostileTill(Bound), [], ref paths);
        Assert.True(paths > 6_000, $"{paths} paths.");
    }

    [Fact]
    public void I14_power_cuts_every_59_minutes_with_the_battery_out_end_grace_in_time()
    {
        HostileTill till = new(Bound);
        while (till.Mode is not AgentMode.Exhausted)
        {
            till.RunFor(TimeSpan.FromMinutes(59));
            CutIn1970(till, till.Run);
            Assert.True(till.RanMs < TimeSpan.FromDays(10).TotalMilliseconds, "Grace was stretched.");
        }
    }

    [Theory]
    [InlineData(59)]
    [InlineData(23 * 60)]
    public void I14_an_old_run_state_put_back_at_every_cut_ends_grace_in_time(int minutes)
    {
        HostileTill till = new(Bound);
        RunState old = till.Run!;
        while (till.Mode is not AgentMode.Exhausted)
        {
            till.RunFor(TimeSpan.FromMinutes(minutes));
            CutIn1970(till, old);
            Assert.True(till.RanMs < TimeSpan.FromDays(10).TotalMilliseconds, "Grace was stretched.");
        }
    }

    [Fact]
    public void I14_a_copy_made_at_the_last_cut_gains_nothing_over_and_over()
    {
        HostileTill till = new(Bound);
        while (till.Mode is not AgentMode.Exhausted)
        {
            // A short start to have the newest possible copy, then a long one to spend it.
            till.RunFor(AMinute);
            CutIn1970(till, till.Run);
            till.RunFor(TimeSpan.FromMinutes(355));
            CutIn1970(till, till.Copied);
            Assert.True(till.RanMs < TimeSpan.FromDays(10).TotalMilliseconds, "Grace was stretched.");
        }
    }

    [Theory]
    [InlineData(-30)]
    [InlineData(-20_000)]
    [InlineData(900)]
    public void I15_a_wrong_wall_clock_and_then_contact_lead_back_to_NORMAL(int days)
    {
        HostileTill till = new(Bound) { WallError = TimeSpan.FromDays(days) };
        till.RunFor(TimeSpan.FromDays(11));
        till.Cut(AMinute, till.Run);
        till.WallError = TimeSpan.Zero;
        till.Contact();
        Assert.Equal(AgentMode.Normal, till.Mode);
    }

    [Fact]
    public void An_honest_till_off_for_a_weekend_counts_it()
    {
        HostileTill till = new(Bound);
        till.Cut(TimeSpan.FromHours(47), till.Run);
        Assert.Equal(till.Real, till.TrustedNow);
    }

    [Fact]
    public void A_till_off_for_longer_believes_its_clock_after_48_hours_of_running_over_many_starts()
    {
        HostileTill till = new(Bound);
        till.Cut(TimeSpan.FromHours(60), till.Run);
        for (int day = 0; day < 5; day++)
        {
            till.RunFor(TimeSpan.FromHours(10));
            till.Cut(AMinute, till.Run);
        }

        Assert.True(till.Real - till.TrustedNow < TimeSpan.FromMinutes(1), $"{till.Real - till.TrustedNow} behind.");
    }

    private static void Explore(HostileTill till, string[] path, ref int paths)
    {
        Assert.True(
            till.TrustedNow.UnixMs - till.Contacted.UnixMs >= till.RanMs,
            $"{string.Join(", ", path)}: ran {TimeSpan.FromMilliseconds(till.RanMs)}, "
            + $"counted {till.TrustedNow - till.Contacted}.");
        if (path.Length == Depth)
        {
            paths++;
            HostileTill healed = till.Copy();
            (healed.DiskIsFull, healed.WallError) = (false, TimeSpan.Zero);
            healed.Contact();
            Assert.True(healed.Mode is AgentMode.Normal, $"I15: {string.Join(", ", path)}: {healed.Mode}");
            Assert.Equal(healed.Real, healed.TrustedNow);
            return;
        }

        foreach ((string name, Action<HostileTill> move) in Moves)
        {
            HostileTill next = till.Copy();
            move(next);
            Explore(next, [.. path, name], ref paths);
        }
    }

    private static void CutIn1970(HostileTill till, RunState? run)
    {
        till.WallError = Nineteen70 - till.Real;
        till.Cut(AMinute, run);
    }
}
