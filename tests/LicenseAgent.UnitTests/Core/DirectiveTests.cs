using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>Directives are levels: each check-in carries all that hold and replaces what held before.</summary>
public sealed class DirectiveTests
{
    private static readonly UtcTime Soon = Given.Start + TimeSpan.FromDays(3);

    private readonly CoreDriver _till = CoreDriver.Enrolled(
        Given.Bound(Given.Grace(1, Given.Start + TimeSpan.FromDays(5)), Given.Active(2)));

    [Fact]
    public void Suspend_is_set_kept_and_lifted_by_absence()
    {
        Assert.Equal(AgentMode.Locked, _till.CheckIn(new SuspendDirective()).Mode);
        Assert.Equal(AgentMode.Locked, _till.Settle().CheckIn(new SuspendDirective()).Mode);
        Assert.Equal(AgentMode.Normal, _till.Settle().CheckIn().Mode);
    }

    [Fact]
    public void A_suspended_till_checks_in_every_minute_and_does_not_rotate()
    {
        _till.CheckIn(new SuspendDirective()).Settle();
        Assert.InRange(_till.State.CheckInDueBootMs - _till.BootMs, 1, 72_000);
        _till.Step(new AgentEvent.RotateAsked(1));
        Assert.Equal("suspended", Assert.Single(_till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
    }

    [Fact]
    public void Who_waits_for_a_rotation_is_told_when_the_till_is_suspended_meanwhile()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Step(new AgentEvent.RotateAsked(1));
        _till.Answer(Given.CheckedIn(_till.Real, [new SuspendDirective()]));
        Assert.Equal("suspended", Assert.Single(_till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
    }

    [Fact]
    public void A_grace_limit_is_set_kept_and_lifted_by_absence()
    {
        LimitGraceDirective limit = new(Soon);
        Assert.Equal(Soon, End(_till.CheckIn(limit)));
        Assert.Equal(Soon, End(_till.Settle().CheckIn(limit)));
        Assert.Equal(Given.Active(2).GraceUntil, End(_till.Settle().CheckIn()));
    }

    [Fact]
    public void A_grace_limit_only_shortens()
    {
        UtcTime late = Given.Start + TimeSpan.FromDays(300);
        Assert.Equal(Given.Active(2).GraceUntil, End(_till.CheckIn(new LimitGraceDirective(late))));
    }

    [Fact]
    public void A_grace_limit_holds_for_GRACE_versions_too()
    {
        _till.CheckIn(new LimitGraceDirective(Soon));
        Assert.All(Views.Usable(_till.State), u => Assert.True(u.End <= Soon));
    }

    [Fact]
    public void Of_several_grace_limits_the_earliest_holds()
    {
        _till.CheckIn(new LimitGraceDirective(Soon), new LimitGraceDirective(Soon - TimeSpan.FromDays(1)));
        Assert.Equal(Soon - TimeSpan.FromDays(1), End(_till));
    }

    [Fact]
    public void Invalidate_below_takes_versions_out_of_use_and_erases_them()
    {
        _till.CheckIn(new InvalidateBelowDirective(2));
        Assert.Equal([2], Views.Usable(_till.State).Select(u => u.Entry.Version));
        Assert.Equal(1, Assert.Single(_till.Did<AgentEffect.EraseSecret>()).Version);
    }

    [Fact]
    public void MinValid_never_goes_down()
    {
        _till.CheckIn(new InvalidateBelowDirective(2)).Settle();
        _till.CheckIn(new InvalidateBelowDirective(1)).Settle();
        _till.CheckIn();
        Assert.Equal(2, _till.Run.Levels.MinValidVersion);
        Assert.Equal(2, _till.State.Bound!.MinValidVersion);
    }

    [Fact]
    public void With_PENDING_below_it_is_given_back_and_a_new_one_prepared()
    {
        _till.ToConfirm(3);
        _till.LoseContact();
        _till.CheckIn(new InvalidateBelowDirective(4));
        Assert.Null(_till.Run.Pending);
        RequestPlan.Reject reject = _till.SettleUntil<RequestPlan.Reject>();
        Assert.Equal((3, RejectReasons.Invalidated), (reject.Version, reject.Reason));
        Assert.Contains(_till.AllEffects, e => e is AgentEffect.EraseSecret { Version: 3 });
        _till.Answer(Given.Rejected(3, _till.Real));
        Assert.Equal(0, _till.SettleUntil<RequestPlan.Prepare>().Intent.Current);
    }

    [Fact]
    public void With_nothing_left_it_is_LOCKED_NO_SECRET_and_rotates_at_once()
    {
        _till.ToPrepare();
        _till.Refuse(ServerErrors.AgentUnknown);
        _till.CheckIn(new InvalidateBelowDirective(3));
        Assert.Equal(AgentMode.Locked, _till.Mode);
        Assert.Equal(LockReason.NoSecret, Views.Facts(_till.State).ReasonWhenLocked);
        _till.Settle();
        Assert.Equal(0, _till.Plan<RequestPlan.Prepare>().Intent.Current);
    }

    [Fact]
    public void A_commit_after_it_opens_again()
    {
        _till.CheckIn(new InvalidateBelowDirective(3)).Settle();
        _till.Answer(Given.Prepared(3, _till.Real));
        _till.Staged(3).Answer(Given.Confirmed(3, _till.Real)).Commit();
        Assert.Equal(AgentMode.Normal, _till.Mode);
    }

    [Theory]
    [InlineData(2, true)]
    [InlineData(3, true)]
    [InlineData(1, false)]
    public void Rotate_now_holds_while_ACTIVE_is_at_or_below(long above, bool rotates)
    {
        _till.CheckIn(new RotateNowDirective(above)).Settle();
        Assert.Equal(rotates, _till.State.Activity is Activity.Exchanging { Plan: RequestPlan.Prepare });
    }

    [Fact]
    public void Rotate_now_is_lifted_by_absence()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.State = _till.State with { RotationGate = new RetryGate(1, _till.BootMs + 500) };
        _till.Answer(Given.CheckedIn(_till.Real, [new RotateNowDirective(2)]));
        _till.Settle();
        _till.State = _till.State with { CheckInUrgent = true };
        _till.Tick().Answer(Given.CheckedIn(_till.Real)).Settle();
        _till.After(TimeSpan.FromSeconds(1));
        Assert.IsNotType<Activity.Exchanging>(_till.State.Activity);
    }

    [Fact]
    public void Re_enroll_is_an_alert_and_no_change_of_mode()
    {
        _till.CheckIn(new ReEnrollDirective());
        Assert.Contains("re_enroll_asked", _till.State.Alerts.Keys);
        Assert.Equal(AgentMode.Normal, _till.Mode);
        _till.Settle().CheckIn();
        Assert.DoesNotContain("re_enroll_asked", _till.State.Alerts.Keys);
    }

    [Fact]
    public void A_directive_nobody_knows_has_no_effect()
    {
        Levels before = _till.Run.Levels;
        _till.CheckIn(new UnknownDirective("dance"));
        Assert.Equal(before, _till.Run.Levels);
    }

    [Fact]
    public void Restrictions_are_durable_before_anything_that_follows_from_them()
    {
        _till.CheckIn(new InvalidateBelowDirective(2));
        int saved = _till.Effects.IndexOf(_till.Did<AgentEffect.SaveRun>().First());
        int erased = _till.Effects.IndexOf(_till.Did<AgentEffect.EraseSecret>().First());
        Assert.Equal(2, _till.Did<AgentEffect.SaveRun>().First().Run.Levels.MinValidVersion);
        Assert.InRange(saved, 0, erased);
    }

    [Fact]
    public void Restrictions_become_the_next_generation()
    {
        _till.CheckIn(new SuspendDirective(), new LimitGraceDirective(Soon), new InvalidateBelowDirective(2));
        BoundState next = _till.Under<Activity.Committing>().Next;
        Assert.Equal((8, true, Soon, 2), (next.Generation, next.Suspended, next.GraceLimit, next.MinValidVersion));
        Assert.Equal([2], next.Secrets.Select(s => s.Version));
    }

    [Fact]
    public void Restrictions_act_at_once_without_the_TPM_and_are_bound_when_it_returns()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Answer(Given.CheckedIn(_till.Real, [new SuspendDirective()]));
        _till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        Assert.Equal(AgentMode.Locked, _till.Mode);
        _till.After(TimeSpan.FromMinutes(1)).Step(new AgentEvent.TpmReturned());
        Assert.True(_till.Under<Activity.Committing>().Next.Suspended);
    }

    [Fact]
    public void Of_a_run_state_and_a_bound_state_that_differ_the_stricter_holds()
    {
        BoundState bound = Given.Bound(Given.Active(2)) with
        {
            Suspended = true,
            GraceLimit = Soon,
            MinValidVersion = 2,
        };
        Levels old = Levels.None with { GraceLimit = Soon + TimeSpan.FromDays(1) };
        CoreDriver till = new();
        till.Load(bound, Given.Run(bound) with { Levels = old });
        Levels levels = till.Run.Levels;
        Assert.Equal((true, Soon, 2), (levels.Suspended, levels.GraceLimit, levels.MinValidVersion));
    }

    [Theory]
    [InlineData(0, 720_000, 1_080_000)]
    [InlineData(100, 80_000, 120_000)]
    [InlineData(3_600, 2_880_000, 3_600_000)]
    [InlineData(86_400, 3_600_000, 3_600_000)]
    public void The_next_check_in_is_when_the_server_wants_it_give_or_take_a_fifth(int seconds, long from, long to)
    {
        for (int i = 0; i < 20; i++)
        {
            _till.SettleUntil<RequestPlan.CheckIn>();
            _till.Answer(Given.CheckedIn(_till.Real, nextS: seconds));
            Assert.InRange(_till.State.CheckInDueBootMs - _till.BootMs, from, to);
        }
    }

    [Fact]
    public void Newer_revocations_are_on_disk_before_they_are_named()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Answer(Given.CheckedIn(_till.Real, revocations: new RevocationList(5, ["lic-1"])));
        int file = _till.Effects.IndexOf(_till.Did<AgentEffect.SaveRevocations>().Single());
        int named = _till.Effects.IndexOf(_till.Did<AgentEffect.SaveRun>().First());
        Assert.InRange(file, 0, named);
        Assert.Equal(5, _till.Did<AgentEffect.SaveRun>().First().Run.Levels.Revocations!.Version);
        Assert.Equal(5, _till.Under<Activity.Committing>().Next.Revocations!.Version);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void Revocations_that_are_not_newer_change_nothing(long version)
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Answer(Given.CheckedIn(_till.Real, revocations: new RevocationList(5, ["lic-1"]))).Settle();
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Answer(Given.CheckedIn(_till.Real, revocations: new RevocationList(version, [])));
        Assert.Empty(_till.Did<AgentEffect.SaveRevocations>());
        Assert.Equal(5, _till.Run.Levels.Revocations!.Version);
    }

    private static UtcTime? End(CoreDriver till) => Views.Facts(till.State).EffectiveEnd;
}
