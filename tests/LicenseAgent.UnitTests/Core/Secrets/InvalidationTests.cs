using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>An operator takes a version out of use: at once, durably before he is told, and for good.</summary>
public sealed class InvalidationTests
{
    private static readonly UtcTime Week = Given.Start + TimeSpan.FromDays(7);

    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Grace(1, Week), Given.Active(2)));

    [Fact]
    public void A_GRACE_version_is_out_of_use_at_once()
    {
        Invalidate(1);
        Assert.Equal([2], Views.Usable(_till.State).Select(u => u.Entry.Version));
        Assert.Equal(AgentMode.Normal, _till.Mode);
    }

    [Fact]
    public void It_is_durable_and_erased_before_the_operator_is_told()
    {
        Invalidate(1);
        int record = Index(e => e is AgentEffect.Audit { Event: "secret_invalidated", Durable: true });
        int saved = Index(e => e is AgentEffect.SaveRun s && s.Run.Levels.Invalidated.Contains(1));
        int erased = Index(e => e is AgentEffect.EraseSecret { Version: 1 });
        int told = Index(e => e is AgentEffect.CompleteInvalidate { RefusedBecause: null });
        Assert.True(record >= 0 && saved >= 0 && record < erased && saved < erased && erased < told);
    }

    [Fact]
    public void It_becomes_the_next_generation_and_is_then_reported_by_an_immediate_check_in()
    {
        Invalidate(1);
        Assert.Equal([2], _till.Under<Activity.Committing>().Next.Secrets.Select(s => s.Version));
        _till.Commit();
        Assert.Equal([2], _till.Plan<RequestPlan.CheckIn>().HeldVersions);
    }

    [Fact]
    public void A_check_in_that_was_already_out_does_not_count_as_the_report()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        Invalidate(1);
        _till.Answer(Given.CheckedIn(_till.Real));
        _till.Commit();
        Assert.Equal([2], _till.Plan<RequestPlan.CheckIn>().HeldVersions);
    }

    [Fact]
    public void The_last_usable_version_needs_force()
    {
        Invalidate(1);
        _till.Settle();
        Assert.Equal("last_usable", Invalidate(2));
        Assert.Equal(AgentMode.Normal, _till.Mode);
        Assert.Null(Invalidate(2, force: true));
        Assert.Equal(LockReason.NoSecret, Views.Facts(_till.State).ReasonWhenLocked);
    }

    [Fact]
    public void A_version_past_its_end_is_no_other_usable_one()
    {
        CoreDriver till = CoreDriver.Enrolled(
            Given.Bound(Given.Grace(1, Given.Start + TimeSpan.FromHours(1)), Given.Active(2)));
        till.After(TimeSpan.FromHours(2));
        till.Step(new AgentEvent.InvalidateAsked(1, 2, Force: false));
        Assert.Equal("last_usable", Assert.Single(till.Did<AgentEffect.CompleteInvalidate>()).RefusedBecause);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void A_version_that_is_not_held_is_refused(long version) => Assert.Equal("not_held", Invalidate(version));

    [Fact]
    public void A_version_is_invalidated_once()
    {
        Invalidate(1);
        Assert.Equal("not_held", Invalidate(1));
    }

    [Fact]
    public void While_a_generation_is_being_written_the_operator_is_asked_to_come_again()
    {
        _till.CheckIn(new SuspendDirective());
        Assert.Equal("busy", Invalidate(1));
    }

    [Fact]
    public void ACTIVE_that_was_invalidated_is_never_taken_again()
    {
        Invalidate(2, force: true);
        _till.Settle();
        _till.SettleUntil<RequestPlan.Prepare>();
        _till.Answer(Given.Prepared(2, _till.Real));
        Assert.IsNotType<Activity.Staging>(_till.State.Activity);
    }

    [Fact]
    public void ACTIVE_that_was_invalidated_stays_so_over_restarts()
    {
        Invalidate(2, force: true);
        RunState durable = _till.Did<AgentEffect.SaveRun>().Last().Run;
        CoreDriver restarted = CoreDriver.Enrolled(Given.Bound(Given.Grace(1, Week), Given.Active(2)), durable);
        Assert.Null(Views.Active(restarted.State));
        Assert.Equal([1], Views.Usable(restarted.State).Select(u => u.Entry.Version));
        Assert.Equal(SecretState.Invalidated, restarted.State.Bound!.Secrets.Single(s => s.Version == 2).State);
    }

    [Fact]
    public void After_ACTIVE_was_invalidated_a_rotation_with_no_current_follows_at_once()
    {
        Invalidate(2, force: true);
        _till.Settle();
        RequestPlan.Prepare plan = _till.Plan<RequestPlan.Prepare>();
        Assert.Equal((0, "", 2), (plan.Intent.Current, plan.Intent.Kcv, plan.Highest));
    }

    [Fact]
    public void PENDING_is_dropped_erased_and_given_back()
    {
        _till.ToConfirm(3);
        _till.LoseContact();
        Assert.Null(Invalidate(3));
        Assert.Null(_till.Run.Pending);
        Assert.Contains(_till.Effects, e => e is AgentEffect.EraseSecret { Version: 3 });
        Assert.Equal(RejectReasons.Invalidated, _till.SettleUntil<RequestPlan.Reject>().Reason);
    }

    [Fact]
    public void PENDING_that_was_invalidated_is_not_taken_again_after_a_restart()
    {
        _till.ToConfirm(3);
        _till.LoseContact();
        Invalidate(3);
        RunState durable = _till.Did<AgentEffect.SaveRun>().Last().Run with { Reject = null };
        CoreDriver restarted = CoreDriver.Enrolled(_till.State.Bound!, durable);
        restarted.ToPrepare();
        restarted.Answer(Given.Prepared(3, restarted.Real));
        Assert.IsNotType<Activity.Staging>(restarted.State.Activity);
    }

    [Fact]
    public void A_confirm_that_is_answered_after_PENDING_was_invalidated_commits_nothing()
    {
        _till.ToConfirm(3);
        Invalidate(3);
        _till.Answer(Given.Confirmed(3, _till.Real));
        Assert.Equal(2, Views.Active(_till.State)!.Version);
        Assert.DoesNotContain(3L, Views.Usable(_till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void A_version_invalidated_while_it_was_being_read_is_erased_again()
    {
        CoreDriver till = new();
        till.Load(Given.Bound(Given.Grace(1, Week), Given.Active(2)));
        till.Step(new AgentEvent.SecretsLoaded([2], []));
        till.Step(new AgentEvent.InvalidateAsked(1, 1, Force: true));
        till.Step(new AgentEvent.SecretsLoaded([1], []));
        Assert.Contains(till.Effects, e => e is AgentEffect.EraseSecret { Version: 1 });
        Assert.DoesNotContain(1L, till.State.Loaded);
    }

    [Fact]
    public void It_works_without_the_TPM_and_is_bound_when_it_returns()
    {
        _till.Step(new AgentEvent.CheckpointWanted()).Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        Assert.Null(Invalidate(1));
        Assert.Equal([2], Views.Usable(_till.State).Select(u => u.Entry.Version));
        _till.After(TimeSpan.FromMinutes(1)).Step(new AgentEvent.TpmReturned());
        Assert.Equal([2], _till.Under<Activity.Committing>().Next.Secrets.Select(s => s.Version));
    }

    private string? Invalidate(long version, bool force = false)
    {
        _till.Step(new AgentEvent.InvalidateAsked(7, version, force));
        AgentEffect.CompleteInvalidate told = Assert.Single(_till.Did<AgentEffect.CompleteInvalidate>());
        Assert.Equal((7, version), (told.Ticket, told.Version));
        return told.RefusedBecause;
    }

    private int Index(Predicate<AgentEffect> what) => _till.Effects.ToList().FindIndex(what);
}
