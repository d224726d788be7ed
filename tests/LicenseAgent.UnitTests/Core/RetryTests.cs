using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>How long the core waits, and when it wants to be woken.</summary>
public sealed class RetryTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    public static TheoryData<int> QuickTries() => [.. Enumerable.Range(1, 6)];

    public static TheoryData<int> LaterTries() => [.. Enumerable.Range(7, 8)];

    [Theory]
    [MemberData(nameof(QuickTries))]
    public void A_back_off_is_between_a_second_and_a_ceiling_that_doubles(int attempt)
    {
        Assert.All(WaitsToPrepare(attempt), wait => Assert.InRange(wait, 1_000, 1_000L << attempt));
        Assert.All(WaitsToCheckIn(attempt), wait => Assert.InRange(wait, 1_000, 1_000L << attempt));
    }

    // A quarter of an hour, as the settings of these tests are: I25, a returning server is not met by the whole fleet.
    [Theory]
    [MemberData(nameof(LaterTries))]
    public void After_the_quick_tries_a_till_that_serves_keeps_to_its_regular_interval(int attempt)
    {
        Assert.All(WaitsToCheckIn(attempt), wait => Assert.InRange(wait, 720_000, 1_080_000));

        // Somebody ordered it.
        Assert.All(WaitsToPrepare(attempt), wait => Assert.InRange(wait, 2 * 720_000, 2 * 1_080_000));
    }

    // I25: after an outage of a day it is the whole fleet's (seed 1 of the simulator's fleet).
    [Theory]
    [InlineData(30, 12 * 720_000, 12 * 1_080_000)]
    [InlineData(42, 6_800_000, 7_200_000)]
    [InlineData(47, 2 * 720_000, 2 * 1_080_000)]
    public void A_rotation_that_an_outage_held_up_is_spread_over_twelve_intervals_or_a_third_of_the_life_that_is_left(
        int hours, long least, long most)
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));
        till.LoseContactUntil(till.Real + TimeSpan.FromHours(hours));
        till.State = till.State with { RotationGate = default };
        till.Tick();
        till.SettleUntil<RequestPlan.Prepare>();
        List<long> waits = Waits(
            till, state => state with { RotationGate = new RetryGate(8, 0) }, state => state.RotationGate);
        Assert.InRange(waits.Min(), least, most);
        Assert.InRange(waits.Max(), least, most);
    }

    // I15: also by its clock alone, with no contact that would tell it.
    [Fact]
    public void What_a_till_waits_for_at_leisure_it_asks_for_at_once_when_it_turns_DEGRADED()
    {
        _till.LoseContactUntil(Given.Start + TimeSpan.FromHours(30));
        RetryGate leisure = new(8, 0, _till.BootMs + 86_400_000);
        _till.State = _till.State with { RotationGate = leisure, CheckInGate = leisure };
        UtcTime end = Views.Facts(_till.State).ValidUntil!.Value;
        Until<Activity.Exchanging>();
        Assert.Equal((AgentMode.Degraded, end), (_till.Mode, _till.TrustedNow));
    }

    [Fact]
    public void What_a_till_waits_for_at_leisure_it_asks_for_at_once_when_the_server_orders_it()
    {
        _till.LoseContactUntil(Given.Start + TimeSpan.FromHours(30));
        _till.State = _till.State with
        {
            RotationGate = new RetryGate(8, 0, _till.BootMs + 86_400_000),
            CheckInGate = default,
        };
        _till.CheckIn().Settle();
        Assert.IsNotType<Activity.Exchanging>(_till.State.Activity);
        _till.State = _till.State with { CheckInUrgent = true };
        _till.Tick().Answer(Given.CheckedIn(_till.Real, [new RotateNowDirective(1)]));
        _till.SettleUntil<RequestPlan.Prepare>();
    }

    [Theory]
    [MemberData(nameof(LaterTries))]
    public void A_confirm_is_tried_again_within_five_minutes_however_often_it_failed(int attempt)
    {
        long ceiling = Math.Min(300_000, 1_000L << attempt);
        Assert.All(WaitsToConfirm(attempt), wait => Assert.InRange(wait, 1_000, ceiling));
    }

    [Fact]
    public void Where_the_regular_interval_is_short_the_back_off_goes_on_to_five_minutes()
    {
        CoreSettings brisk = Given.Settings with { CheckInInterval = TimeSpan.FromMinutes(1) };
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)), settings: brisk);
        till.ToPrepare();
        Assert.All(
            Waits(till, state => state with { RotationGate = new RetryGate(13, 0) }, state => state.RotationGate),
            wait => Assert.InRange(wait, 1_000, 300_000));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(12)]
    public void A_back_off_uses_all_of_its_range(int attempt)
    {
        long ceiling = Math.Min(300_000, 1_000L << attempt);
        List<long> waits = WaitsToConfirm(attempt);
        Assert.True(waits.Min() < ceiling / 4);
        Assert.True(waits.Max() > ceiling * 3 / 4);
    }

    [Fact]
    public void Once_DEGRADED_a_back_off_is_at_most_two_minutes()
    {
        _till.LoseContactUntil(Given.Start + TimeSpan.FromDays(3));
        Assert.Equal(AgentMode.Degraded, _till.Mode);
        for (int i = 0; i < 40; i++)
        {
            Until<Activity.Exchanging>();
            _till.LoseContact();
            Assert.InRange(Math.Max(Wait(_till.State.RotationGate), Wait(_till.State.CheckInGate)), 0, 120_000);
        }
    }

    [Theory]
    [InlineData(1, 1_000)]
    [InlineData(200, 200_000)]
    [InlineData(300, 300_000)]
    [InlineData(86_400, 300_000)]
    public void An_unsigned_retry_after_delays_by_at_most_five_minutes(int seconds, long ms)
    {
        _till.Chance = UInt128.Zero;
        _till.ToPrepare();
        _till.LoseContact(TimeSpan.FromSeconds(seconds));
        Assert.InRange(Wait(_till.State.RotationGate), ms, Math.Max(ms, 2_000));
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.LoseContact(TimeSpan.FromSeconds(seconds));
        Assert.InRange(Wait(_till.State.CheckInGate), ms, Math.Max(ms, 2_000));
    }

    [Fact]
    public void A_negative_retry_after_is_none()
    {
        _till.ToPrepare();
        _till.LoseContact(TimeSpan.FromSeconds(-5));
        Assert.InRange(Wait(_till.State.RotationGate), 1_000, 2_000);
    }

    [Fact]
    public void A_successful_check_in_forgets_the_failures_before_it()
    {
        for (int i = 0; i < 5; i++)
        {
            _till.SettleUntil<RequestPlan.CheckIn>();
            _till.LoseContact();
        }

        _till.CheckIn();
        Assert.Equal(0, _till.State.CheckInGate.Failures);
    }

    [Fact]
    public void An_operator_who_insists_does_not_wait_out_a_back_off()
    {
        _till.ToPrepare();
        _till.Refuse(ServerErrors.AgentUnknown);
        _till.Settle();
        _till.Step(new AgentEvent.RotateAsked(1));
        _till.Plan<RequestPlan.Prepare>();
    }

    [Fact]
    public void An_operator_is_told_why_his_rotation_failed()
    {
        _till.Step(new AgentEvent.RotateAsked(1));
        _till.SettleUntil<RequestPlan.Prepare>();
        _till.LoseContact();
        AgentEffect.CompleteRotate told = Assert.Single(_till.Did<AgentEffect.CompleteRotate>());
        Assert.Equal((1, null, "timeout"), (told.Ticket, told.Version, told.FailedBecause));
    }

    [Fact]
    public void Every_operator_who_waits_is_told_of_the_one_rotation()
    {
        for (long ticket = 1; ticket <= 16; ticket++)
        {
            _till.Step(new AgentEvent.RotateAsked(ticket));
        }

        _till.Rotate(2);
        Assert.Equal(
            Enumerable.Range(1, 16).Select(t => ((long)t, (long?)2)),
            _till.Did<AgentEffect.CompleteRotate>().Select(c => (c.Ticket, c.Version)));
    }

    [Fact]
    public void A_seventeenth_operator_is_refused()
    {
        for (long ticket = 1; ticket <= 17; ticket++)
        {
            _till.Step(new AgentEvent.RotateAsked(ticket));
        }

        AgentEffect.CompleteRotate told = Assert.Single(_till.Did<AgentEffect.CompleteRotate>());
        Assert.Equal((17, "too_many_waiting"), (told.Ticket, told.FailedBecause));
    }

    [Fact]
    public void The_next_rotation_is_due_within_a_tenth_of_the_interval()
    {
        HashSet<UtcTime> seen = [];
        for (long version = 2; version < 17; version++)
        {
            _till.Rotate(version).Settle();
            UtcTime due = Views.RotationDue(_till.State)!.Value;
            TimeSpan wait = due - _till.Real;
            Assert.InRange(wait.TotalHours, 24 * 0.9, 24 * 1.1);
            seen.Add(due);
        }

        Assert.True(seen.Count > 5);
    }

    [Fact]
    public void The_next_rotation_is_due_before_the_last_fifth_of_a_life()
    {
        CoreSettings slow = Given.Settings with { RotationInterval = TimeSpan.FromDays(30) };
        CoreDriver till = new(slow);
        BoundState bound = Given.Bound(Given.Active(1));
        till.Step(new AgentEvent.Started());
        AgentPolicy policy = new(30 * 86_400, 604_800, 900);
        till.Step(new AgentEvent.StateLoaded(new Identity(Given.AgentId, policy), bound, Given.Run(bound)));
        Assert.Equal(Given.Active(1).ValidUntil - TimeSpan.FromHours(9.6), Views.RotationDue(till.State));
    }

    [Fact]
    public void A_scheduled_rotation_begins_when_it_is_due()
    {
        UtcTime due = Views.RotationDue(_till.State)!.Value;
        while (_till.State.Activity is not Activity.Exchanging { Plan: RequestPlan.Prepare })
        {
            Assert.True(_till.TrustedNow <= due);
            if (_till.Settle().State.Activity is Activity.Idle)
            {
                WakeUp();
            }
        }

        Assert.Equal(due, _till.TrustedNow);
    }

    [Fact]
    public void A_till_that_is_not_enrolled_sleeps()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.FoundNotEnrolled());
        Assert.Equal(till.BootMs + 60_000, AgentCore.NextWakeBootMs(till.State, till.Now));
    }

    [Fact]
    public void A_till_whose_disk_fails_sleeps_until_its_back_off_is_over()
    {
        _till.After(TimeSpan.FromMinutes(2));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        _till.Settle();
        long wake = AgentCore.NextWakeBootMs(_till.State, _till.Now);
        Assert.InRange(wake - _till.BootMs, 900, 2_000);
    }

    [Fact]
    public void A_till_at_rest_never_wakes_more_often_than_something_is_due()
    {
        int wakes = 0;
        UtcTime end = _till.Real + TimeSpan.FromHours(10);
        while (_till.Real < end)
        {
            _till.Settle();
            WakeUp();
            wakes++;
        }

        // High-water every minute; check-ins and anchors come on top.
        Assert.InRange(wakes, 600, 720);
    }

    [Fact]
    public void The_high_water_is_saved_every_minute()
    {
        UtcTime end = _till.Real + TimeSpan.FromHours(1);
        while (_till.Real < end)
        {
            _till.Settle();
            WakeUp();
        }

        List<long> saves = [.. _till.AllEffects.OfType<AgentEffect.SaveRun>().Select(s => s.Run.HighWater!.BootMs)];
        Assert.True(saves.Count >= 60);
        Assert.All(saves.Zip(saves.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 0, 60_000));
    }

    private void WakeUp() =>
        _till.After(TimeSpan.FromMilliseconds(AgentCore.NextWakeBootMs(_till.State, _till.Now) - _till.BootMs));

    private void Until<T>()
        where T : Activity
    {
        while (_till.State.Activity is not T)
        {
            if (_till.State.Activity is Activity.Anchoring)
            {
                _till.Step(new AgentEvent.Anchored());
            }
            else
            {
                WakeUp();
            }
        }
    }

    private long Wait(RetryGate gate) => End(gate) - _till.BootMs;

    private static long End(RetryGate gate) => Math.Max(gate.NotBeforeBootMs, gate.PatientUntilBootMs);

    private List<long> WaitsToPrepare(int attempt)
    {
        _till.ToPrepare();
        return Waits(
            _till, state => state with { RotationGate = new RetryGate(attempt - 1, 0) }, state => state.RotationGate);
    }

    private List<long> WaitsToConfirm(int attempt)
    {
        _till.ToConfirm(2);
        return Waits(
            _till, state => state with { RotationGate = new RetryGate(attempt - 1, 0) }, state => state.RotationGate);
    }

    private static List<long> WaitsToCheckIn(int attempt)
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));
        till.SettleUntil<RequestPlan.CheckIn>();
        return Waits(
            till, state => state with { CheckInGate = new RetryGate(attempt - 1, 0) }, state => state.CheckInGate);
    }

    private static List<long> Waits(
        CoreDriver till, Func<AgentState, AgentState> before, Func<AgentState, RetryGate> gate)
    {
        AgentState start = before(till.State);
        List<long> waits = [];
        for (int i = 0; i < 200; i++)
        {
            till.State = start;
            waits.Add(End(gate(till.LoseContact().State)) - till.BootMs);
        }

        return waits;
    }
}
