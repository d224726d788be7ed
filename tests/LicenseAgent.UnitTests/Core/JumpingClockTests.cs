using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>Clocks that can jump: what is believed of them, when, and what a copy in the TPM is worth.</summary>
public sealed class JumpingClockTests
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    private readonly BoundState _bound = Given.Bound(Given.Active(1));

    [Fact]
    public void At_start_a_wall_clock_ahead_by_a_night_is_believed_at_once()
    {
        CoreDriver till = Restarted(off: 12 * Hour);
        Assert.Equal(till.Real, till.TrustedNow);
    }

    [Fact]
    public void At_start_a_wall_clock_behind_says_nothing()
    {
        CoreDriver till = Restarted(off: 12 * Hour, wallError: TimeSpan.FromDays(-30));
        Assert.Equal(Given.Start + TimeSpan.FromMinutes(1), till.TrustedNow);
    }

    [Fact]
    public void At_start_a_wall_clock_48_hours_ahead_is_not_believed()
    {
        CoreDriver till = Restarted(off: (48 * Hour) + TimeSpan.FromMinutes(2));
        Assert.Equal(Given.Start + TimeSpan.FromMinutes(1), till.TrustedNow);
    }

    [Theory]
    [InlineData(9, false)]
    [InlineData(11, true)]
    public void While_running_a_wall_clock_is_believed_when_it_was_steady_for_10_minutes(int minutes, bool believed)
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.LoseContactUntil(till.Real + TimeSpan.FromMinutes(30));
        till.WallError = 2 * Hour;
        till.Tick();
        till.LoseContactUntil(till.Real + TimeSpan.FromMinutes(minutes));
        Assert.Equal(believed, till.TrustedNow - till.Real > Hour);
    }

    [Fact]
    public void A_wall_clock_that_never_stands_still_is_never_believed()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        for (int i = 0; i < 30; i++)
        {
            till.WallError = (1 + (i % 2)) * Hour;
            till.LoseContactUntil(till.Real + TimeSpan.FromMinutes(5));
        }

        Assert.Equal(till.Real, till.TrustedNow);
    }

    [Fact]
    public void What_contact_has_shown_a_wall_clock_to_lead_by_is_no_news()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.WallError = 3 * Hour;
        till.CheckIn();
        till.LoseContactUntil(till.Real + Hour);
        Assert.Equal(till.Real, till.TrustedNow);
    }

    [Fact]
    public void A_wall_clock_too_far_ahead_is_believed_after_48_hours_of_running_over_two_boots()
    {
        CoreDriver till = Restarted(off: 60 * Hour);
        till.LoseContactUntil(till.Real + (47 * Hour));
        RunState durable = till.AllEffects.OfType<AgentEffect.SaveRun>().Last().Run;
        till.Reboot("boot-3");
        till.Load(_bound, durable);
        Assert.True(till.TrustedNow < till.Real - Hour);
        till.LoseContactUntil(till.Real + (2 * Hour));
        Assert.Equal(till.Real, till.TrustedNow);
    }

    [Fact]
    public void Contact_ends_the_doubt_and_its_count()
    {
        CoreDriver till = Restarted(off: 60 * Hour);
        till.LoseContactUntil(till.Real + (10 * Hour));
        Assert.InRange(till.Run.DoubtedMs, 9 * 3_600_000, 10 * 3_600_000);
        till.CheckIn();
        Assert.Equal((0, till.Real), (till.Run.DoubtedMs, till.TrustedNow));
    }

    [Fact]
    public void A_clock_that_jumps_too_far_ahead_asks_for_contact_at_once()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.After(TimeSpan.FromMinutes(6)).Settle();
        till.WallError = TimeSpan.FromDays(3);
        till.Tick();
        till.Plan<RequestPlan.CheckIn>();
    }

    [Fact]
    public void A_wrong_clock_does_not_make_a_till_in_contact_ask_more_often()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.WallError = TimeSpan.FromDays(800);
        till.CheckIn();
        int before = till.AllEffects.Count(e => e is AgentEffect.Send);
        for (int i = 0; i < 11; i++)
        {
            till.After(TimeSpan.FromMinutes(1)).Settle();
        }

        Assert.Equal(before, till.AllEffects.Count(e => e is AgentEffect.Send));
    }

    [Fact]
    public void The_first_48_hours_of_a_sleep_count_and_the_rest_after_10_minutes()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.WallError = TimeSpan.FromDays(-30);
        UtcTime before = till.TrustedNow;
        Sleep(till, 60 * Hour);
        Assert.Equal(before + (48 * Hour), till.TrustedNow);
        till.LoseContactUntil(till.Real + TimeSpan.FromMinutes(11));
        Assert.Equal(till.Real, till.TrustedNow);
    }

    [Fact]
    public void A_battery_clock_that_wakes_in_another_decade_moves_nothing_but_48_hours()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        UtcTime before = till.TrustedNow;
        till.WallError = TimeSpan.FromDays(-4000);
        Sleep(till, TimeSpan.FromDays(3650));
        Assert.Equal(before + (48 * Hour), till.TrustedNow);
    }

    [Fact]
    public void Between_two_steps_a_sleep_adds_no_more_than_48_hours_to_what_validations_see()
    {
        TrustedClock clock = new(1_000, Given.Start);
        Assert.Equal(Given.Start + (48 * Hour), clock.At(1_000 + (long)TimeSpan.FromDays(900).TotalMilliseconds));
    }

    [Fact]
    public void A_sleep_of_a_decade_proves_nothing()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.CheckIn();
        UtcTime word = till.Real;
        Sleep(till, TimeSpan.FromDays(3650));
        Assert.Equal(word + (48 * Hour), Views.ProvenNow(till.State, till.Now));
    }

    [Fact]
    public void The_TPMs_clock_counts_for_85_percent_of_its_growth()
    {
        CoreDriver till = WithTpmClock(grownMs: 100 * 3_600_000 / 10);
        Assert.Equal(Given.Start + TimeSpan.FromHours(8.5), till.TrustedNow);
    }

    [Fact]
    public void A_TPM_clock_below_its_anchor_says_nothing() =>
        Assert.Equal(Given.Start + TimeSpan.FromMinutes(1), WithTpmClock(grownMs: -20_000).TrustedNow);

    [Fact]
    public void A_TPM_clock_that_was_set_years_ahead_is_not_believed() =>
        Assert.Equal(Given.Start + TimeSpan.FromMinutes(1), WithTpmClock(grownMs: 100_000_000_000).TrustedNow);

    [Fact]
    public void The_mirror_is_a_floor_where_the_run_state_is_not_behind_it()
    {
        CoreDriver till = Restarted(mirror: Given.Start);
        Assert.Equal(Given.Start + TimeSpan.FromMinutes(1), till.TrustedNow);
        Assert.DoesNotContain("run_state_rollback", till.State.Alerts.Keys);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_run_state_behind_the_mirror_or_missing_was_put_back_and_costs_6_hours(bool missing)
    {
        CoreDriver till = new() { BootId = "boot-2", WallError = TimeSpan.FromDays(-99) };
        UtcTime mirror = Given.Start + (3 * Hour);
        till.Load(_bound, missing ? RunState.Empty : Given.Run(_bound), mirror);
        Assert.Equal(mirror + (6 * Hour), till.TrustedNow);
        Assert.Contains("run_state_rollback", till.State.Alerts.Keys);
    }

    [Fact]
    public void Contact_clears_the_alert_of_a_run_state_put_back()
    {
        CoreDriver till = new();
        till.Load(_bound, RunState.Empty, Given.Start + Hour);
        till.CheckIn();
        Assert.DoesNotContain("run_state_rollback", till.State.Alerts.Keys);
    }

    [Fact]
    public void At_start_the_TPM_learns_of_it_before_a_secret_is_opened()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started());
        till.Step(new AgentEvent.StateLoaded(Given.Identity, _bound, Given.Run(_bound)));
        UtcTime saved = till.Did<AgentEffect.SaveRun>().Single().Run.HighWater!.Time;
        Assert.Equal(saved, till.Did<AgentEffect.WriteAnchors>().Single().Mirror);
    }

    [Fact]
    public void A_TPM_that_answers_and_takes_no_mirror_keeps_no_secret_from_being_opened()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started());
        till.Step(new AgentEvent.StateLoaded(Given.Identity, _bound, Given.Run(_bound)));
        till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "TPM_RC_NV_UNAVAILABLE"));
        till.After(TimeSpan.FromSeconds(31)).Step(new AgentEvent.TpmReturned());
        till.Under<Activity.LoadingSecrets>();
    }

    [Fact]
    public void A_correction_back_is_told_to_the_TPM()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.SettleUntil<RequestPlan.CheckIn>();
        UtcTime server = till.Real - TimeSpan.FromDays(5);
        till.Answer(Given.CheckedIn(server));
        Assert.Equal(server, till.Did<AgentEffect.WriteAnchors>().Single().Mirror);
    }

    [Fact]
    public void A_high_water_that_no_disk_takes_goes_to_the_TPM()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.After(TimeSpan.FromMinutes(1));
        Assert.NotEmpty(till.Did<AgentEffect.SaveRun>());
        till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        Assert.Equal(till.TrustedNow, till.Did<AgentEffect.WriteAnchors>().Single().Mirror);
    }

    [Theory]
    [InlineData(true, 6)]
    [InlineData(false, 1)]
    public void The_mirror_is_never_older_than_6_hours_and_1_hour_while_not_NORMAL(bool normal, int hours)
    {
        CoreDriver till = new();
        till.Load(_bound, Given.Run(_bound) with { LastContact = normal ? Given.Start : null });
        UtcTime last = till.TrustedNow;
        while (till.Real < Given.Start + (20 * Hour))
        {
            till.LoseContactUntil(till.Real + TimeSpan.FromMinutes(1));
            UtcTime mirror = till.AllEffects.OfType<AgentEffect.WriteAnchors>().Max(a => a.Mirror ?? UtcTime.MinValue);
            last = UtcTime.Max(last, mirror);
            Assert.True(till.TrustedNow - last <= (hours * Hour) + TimeSpan.FromMinutes(normal ? 0 : 2));
        }
    }

    private CoreDriver Restarted(TimeSpan off = default, TimeSpan wallError = default, UtcTime? mirror = null)
    {
        CoreDriver till = new() { BootId = "boot-2", BootMs = 0, WallError = wallError };
        till.Real += off;
        till.Load(_bound, Given.Run(_bound), mirror);
        return till;
    }

    private CoreDriver WithTpmClock(long grownMs)
    {
        CoreDriver till = new() { BootId = "boot-2", BootMs = 0, WallError = TimeSpan.FromDays(-99) };
        RunState run = Given.Run(_bound);
        till.Load(
            _bound, run with { Anchor = run.Anchor! with { TpmClockMs = 500_000 } }, null,
            new TpmReading(500_000 + grownMs, till.BootMs));
        return till;
    }

    private static void Sleep(CoreDriver till, TimeSpan span)
    {
        till.SleptMs += (long)span.TotalMilliseconds;
        till.After(span);
    }
}
