using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>Trusted now over contacts, restarts and boots; never the bare wall clock.</summary>
public sealed class ClockTests
{
    private static readonly UtcTime Anchored = Given.Start + TimeSpan.FromHours(5);

    private static readonly TimeSpan s_sinceBoot = TimeSpan.FromMilliseconds(CoreDriver.FirstBootMs);

    private readonly BoundState _bound = Given.Bound(Given.Active(1));

    [Fact]
    public void Before_anything_is_known_it_is_the_build_time()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started());
        Assert.Equal(Given.Settings.BuildTime, till.TrustedNow);
    }

    [Fact]
    public void The_anchor_of_this_boot_counts_from_when_its_request_was_sent()
    {
        CoreDriver till = Loaded(run => run with { Anchor = new TimeAnchor(Anchored, "boot-1", 400_000) });
        Assert.Equal(Anchored + TimeSpan.FromMilliseconds(600_000), till.TrustedNow);
    }

    [Fact]
    public void The_anchor_of_another_boot_says_nothing_of_the_time_since()
    {
        CoreDriver till = Loaded(run => run with
        {
            Anchor = new TimeAnchor(Anchored, "boot-0", 400_000),
            HighWater = null,
        });
        Assert.Equal(Given.Start, till.TrustedNow);
    }

    [Fact]
    public void The_high_water_of_this_boot_counts_on()
    {
        CoreDriver till = Loaded(run => run with { HighWater = new HighWater(Anchored, "boot-1", 999_000) });
        Assert.Equal(Anchored + TimeSpan.FromSeconds(1), till.TrustedNow);
    }

    [Fact]
    public void The_high_water_of_another_boot_is_charged_a_minute_and_what_this_boot_has_run()
    {
        // The TPM was away for so long: without it there is no state to load.
        CoreDriver till = Loaded(run => run with { HighWater = new HighWater(Anchored, "boot-0", 999_000) });
        Assert.Equal(Anchored + TimeSpan.FromSeconds(60) + s_sinceBoot, till.TrustedNow);
    }

    [Fact]
    public void Of_a_boot_that_slept_no_more_counts_than_is_believed_of_a_sleep()
    {
        const long Hour = 3_600_000;
        CoreDriver till = new() { BootMs = 100 * Hour, SleptMs = 99 * Hour };
        till.Load(_bound, Given.Run(_bound) with
        {
            Anchor = null,
            HighWater = new HighWater(Anchored, "boot-0", 999_000),
        });
        Assert.Equal(
            Anchored + TimeSpan.FromSeconds(60) + TimeSpan.FromHours(1 + 48), till.TrustedNow);
    }

    [Fact]
    public void The_charge_of_every_boot_adds_up()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        UtcTime before = till.TrustedNow;
        for (int boot = 2; boot < 12; boot++)
        {
            RunState durable = till.AllEffects.OfType<AgentEffect.SaveRun>().Last().Run;
            till.Reboot($"boot-{boot}");
            till.Load(_bound, durable);
        }

        Assert.True(till.TrustedNow >= before + TimeSpan.FromMinutes(10));
    }

    [Fact]
    public void The_server_time_of_the_bound_state_is_a_floor()
    {
        CoreDriver till = new();
        till.Load(_bound with { ServerTime = Anchored }, RunState.Empty);
        Assert.Equal(Anchored, till.TrustedNow);
    }

    [Fact]
    public void The_build_time_is_a_floor()
    {
        CoreDriver till = new();
        till.Load(_bound with { ServerTime = UtcTime.MinValue }, RunState.Empty);
        Assert.Equal(Given.Settings.BuildTime, till.TrustedNow);
    }

    [Fact]
    public void The_latest_floor_counts()
    {
        CoreDriver till = Loaded(run => run with
        {
            Anchor = new TimeAnchor(Given.Start, "boot-1", CoreDriver.FirstBootMs),
            HighWater = new HighWater(Anchored, "boot-0", 0),
        });
        Assert.Equal(Anchored + TimeSpan.FromSeconds(60) + s_sinceBoot, till.TrustedNow);
    }

    [Theory]
    [InlineData(-40)]
    [InlineData(40)]
    public void The_wall_clock_moves_nothing(int days)
    {
        CoreDriver till = new() { WallError = TimeSpan.FromDays(days) };
        till.Load(_bound);
        Assert.Equal(Given.Start, till.TrustedNow);
        till.Pass(TimeSpan.FromHours(1));
        Assert.Equal(Given.Start + TimeSpan.FromHours(1), till.TrustedNow);
    }

    [Fact]
    public void Between_contacts_it_runs_as_the_boot_clock_does()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        UtcTime before = till.TrustedNow;
        till.LoseContactUntil(till.Real + TimeSpan.FromDays(3));
        Assert.Equal(before + TimeSpan.FromDays(3), till.TrustedNow);
    }

    [Theory]
    [InlineData(-30)]
    [InlineData(30)]
    public void A_verified_server_time_moves_it_forth_and_back(int days)
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.SettleUntil<RequestPlan.CheckIn>();
        UtcTime server = till.Real + TimeSpan.FromDays(days);
        till.Answer(Given.CheckedIn(server));
        Assert.Equal(server, till.TrustedNow);
    }

    [Fact]
    public void A_server_time_before_the_build_time_moves_it_no_further_back_than_that()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.SettleUntil<RequestPlan.CheckIn>();
        till.Answer(Given.CheckedIn(Given.Settings.BuildTime - TimeSpan.FromDays(1)));
        Assert.Equal(Given.Settings.BuildTime, till.TrustedNow);
    }

    [Fact]
    public void A_correction_back_is_what_the_next_start_finds()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound with { ServerTime = Given.Start - TimeSpan.FromDays(9) });
        till.SettleUntil<RequestPlan.CheckIn>();
        UtcTime server = Given.Start - TimeSpan.FromDays(5);
        till.Answer(Given.CheckedIn(server));
        RunState durable = till.AllEffects.OfType<AgentEffect.SaveRun>().Last().Run;
        till.State = AgentState.Initial(Given.Settings);
        till.Load(_bound with { ServerTime = Given.Start - TimeSpan.FromDays(9) }, durable);
        Assert.Equal(server, till.TrustedNow);
    }

    [Theory]
    [InlineData(60, false)]
    [InlineData(61, true)]
    public void A_server_clock_more_than_an_hour_behind_itself_raises_an_alert(int minutes, bool raised)
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.SettleUntil<RequestPlan.CheckIn>();
        till.Answer(Given.CheckedIn(Anchored)).Settle();
        till.SettleUntil<RequestPlan.CheckIn>();
        till.Answer(Given.CheckedIn(Anchored - TimeSpan.FromMinutes(minutes)));
        Assert.Equal(raised, till.State.Alerts.ContainsKey("server_clock_back"));
    }

    [Fact]
    public void Unauthenticated_failures_move_nothing()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.SettleUntil<RequestPlan.CheckIn>();
        (UtcTime, UtcTime?) before = (till.TrustedNow, till.Run.LastContact);
        till.LoseContact(TimeSpan.FromDays(40));
        Assert.Equal(before, (till.TrustedNow, till.Run.LastContact));
    }

    [Fact]
    public void Proven_now_is_the_servers_last_word_and_the_time_of_this_boot_since()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.CheckIn();
        UtcTime word = till.Real;
        till.Pass(TimeSpan.FromHours(2));
        Assert.Equal(word + TimeSpan.FromHours(2), Views.ProvenNow(till.State, till.Now));
        till.BootId = "boot-2";
        Assert.Equal(word, Views.ProvenNow(till.State, till.Now));
    }

    [Fact]
    public void Without_an_anchor_nothing_is_proven()
    {
        CoreDriver till = new();
        till.Load(_bound, RunState.Empty);
        Assert.Null(Views.ProvenNow(till.State, till.Now));
    }

    [Fact]
    public void A_clock_past_the_last_year_stands_still_and_breaks_nothing()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.SettleUntil<RequestPlan.CheckIn>();
        till.Answer(Given.CheckedIn(UtcTime.MaxValue)).Settle();
        till.After(TimeSpan.FromMinutes(1));
        Assert.Equal(UtcTime.MaxValue, till.TrustedNow);
    }

    [Fact]
    public void A_till_back_from_a_wrong_future_does_not_wait_for_it_to_rotate()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound, Given.Run(_bound) with
        {
            LastRotation = Given.Start + TimeSpan.FromDays(900),
        });
        till.CheckIn();
        Assert.True(till.Run.LastRotation <= till.TrustedNow);
    }

    [Fact]
    public void A_crash_between_the_generation_and_the_run_state_does_not_rotate_again_at_once()
    {
        BoundState bound = Given.Bound(Given.Active(2, Given.Start - TimeSpan.FromHours(1)));
        SecretEntry staged = bound.Active! with { State = SecretState.Pending };
        PendingSecret pending = Given.Pending(2, confirmSent: true) with { Entry = staged };
        CoreDriver till = CoreDriver.Enrolled(bound, Given.Run(bound) with
        {
            Pending = pending,
            LastRotation = Given.Start - TimeSpan.FromDays(2),
            CloneSuspectSince = Given.Start - TimeSpan.FromDays(2),
            FailedInARow = 9,
        });
        Assert.IsType<Activity.Idle>(till.State.Activity);
        Assert.Equal((null, null, 0), (till.Run.Pending, till.Run.CloneSuspectSince, till.Run.FailedInARow));
    }

    private CoreDriver Loaded(Func<RunState, RunState> change)
    {
        CoreDriver till = new();
        till.Load(_bound, change(Given.Run(_bound) with { Anchor = null, HighWater = null }));
        return till;
    }
}
