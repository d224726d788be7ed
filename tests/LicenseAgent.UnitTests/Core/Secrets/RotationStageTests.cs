using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>Prepare, stage, confirm, commit: what each stage does, and what is durable before what leaves.</summary>
public sealed class RotationStageTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    public static TheoryData<long, bool> OfferedVersions() => new()
    {
        { 5, false },
        { 6, true },
        { 7, true },
        { 1_006, true },
        { 1_007, false },
        { long.MaxValue, false },
    };

    [Fact]
    public void The_intent_is_durable_before_the_first_prepare_leaves()
    {
        RequestPlan.Prepare plan = _till.ToPrepare();
        int saved = SavedBefore<AgentEffect.Send>(run => run.Intent?.RequestId == plan.RequestId);
        Assert.True(saved >= 0);
    }

    [Fact]
    public void A_prepare_names_ACTIVE_its_check_value_and_the_highest_version_seen()
    {
        RequestPlan.Prepare plan = _till.ToPrepare();
        Assert.Equal((1, Given.Kcv(1).ToString(), 1), (plan.Intent.Current, plan.Intent.Kcv, plan.Highest));
    }

    [Fact]
    public void A_prepare_without_ACTIVE_names_none()
    {
        CoreDriver fresh = CoreDriver.Enrolled(Given.Bound());
        RequestPlan.Prepare plan = fresh.ToPrepare();
        Assert.Equal((0, "", 0), (plan.Intent.Current, plan.Intent.Kcv, plan.Highest));
    }

    [Theory]
    [MemberData(nameof(OfferedVersions))]
    public void A_version_is_taken_from_the_highest_seen_up_to_a_thousand_above(long version, bool taken)
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)) with { HighestVersionSeen = 6 });
        till.ToPrepare();
        till.Answer(Given.Prepared(version, till.Real));
        Assert.Equal(taken, till.State.Activity is Activity.Staging);
    }

    [Fact]
    public void The_version_that_is_ACTIVE_is_not_taken_again()
    {
        _till.ToPrepare();
        _till.Answer(Given.Prepared(1, _till.Real));
        Assert.Contains("server_version_refused", _till.State.Alerts.Keys);
        Assert.IsNotType<Activity.Staging>(_till.State.Activity);
    }

    [Fact]
    public void A_refused_number_does_not_raise_the_highest()
    {
        _till.ToPrepare();
        _till.Answer(Given.Prepared(5_000, _till.Real));
        Assert.Equal(1, Views.Highest(_till.State));
    }

    [Fact]
    public void Highest_is_raised_durably_before_the_secret_is_touched()
    {
        _till.ToPrepare();
        _till.Answer(Given.Prepared(2, _till.Real));
        Assert.True(SavedBefore<AgentEffect.StageSecret>(run => run.Highest == 2) >= 0);
    }

    [Fact]
    public void Highest_is_raised_durably_before_a_version_taken_by_order_is_given_back()
    {
        BoundState bound = Given.Bound(Given.Active(1));
        CoreDriver till = CoreDriver.Enrolled(bound, Given.Run(bound) with
        {
            Levels = Levels.None with { Invalidated = [2] },
        });
        till.ToPrepare();
        till.Answer(Given.Prepared(2, till.Real));
        RunState saved = till.Did<AgentEffect.SaveRun>().Last().Run;
        Assert.Equal((2, 2, RejectReasons.Invalidated), (saved.Highest, saved.Reject?.Version, saved.Reject?.Reason));
        Assert.IsNotType<Activity.Staging>(till.State.Activity);
    }

    [Fact]
    public void PENDING_is_durable_before_the_confirm_leaves()
    {
        _till.ToConfirm(2);
        Assert.True(SavedBefore<AgentEffect.Send>(run => run.Pending?.Entry.Version == 2) >= 0);
    }

    [Fact]
    public void ConfirmSent_is_durable_before_the_confirm_leaves()
    {
        _till.ToConfirm(2);
        Assert.True(SavedBefore<AgentEffect.Send>(run => run.Pending is { ConfirmSent: true }) >= 0);
    }

    [Fact]
    public void From_the_staging_on_both_versions_open_tokens()
    {
        _till.ToConfirm(2);
        Assert.Equal([1, 2], Views.Usable(_till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void A_secret_that_is_not_staged_opens_nothing()
    {
        _till.ToPrepare();
        _till.Answer(Given.Prepared(2, _till.Real));
        Assert.Equal([1], Views.Usable(_till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void The_commit_makes_one_generation_of_the_new_ACTIVE_and_the_old_GRACE()
    {
        _till.ToConfirm(2);
        PreviousVersion previous = new(1, _till.Real + TimeSpan.FromDays(8));
        _till.Answer(Given.Confirmed(2, _till.Real, previous: previous));
        BoundState next = _till.Under<Activity.Committing>().Next;
        Assert.Equal(8, next.Generation);
        Assert.Equal(
            [(1, SecretState.Grace), (2, SecretState.Active)], next.Secrets.Select(s => (s.Version, s.State)));
        Assert.Equal(previous.GraceUntil, next.Secrets[0].GraceUntil);
    }

    [Fact]
    public void The_times_that_count_are_those_of_the_confirm_answer()
    {
        _till.ToConfirm(2).Pass(TimeSpan.FromMinutes(10));
        ConfirmRotationAnswer answer = Given.Confirmed(2, _till.Real);
        _till.Answer(answer).Commit();
        SecretEntry active = Views.Active(_till.State)!;
        Assert.Equal(
            (answer.ValidFrom, answer.ValidUntil, answer.GraceUntil),
            (active.ValidFrom, active.ValidUntil, active.GraceUntil));
    }

    [Fact]
    public void Old_PENDING_and_new_all_open_tokens_while_the_generation_is_written()
    {
        _till.ToConfirm(2);
        _till.Answer(Given.Confirmed(2, _till.Real, previous: new PreviousVersion(1, Given.Active(1).GraceUntil)));
        Assert.Equal([1, 2], Views.Usable(_till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void An_ACTIVE_the_server_no_longer_lists_is_erased_with_the_commit()
    {
        _till.ToConfirm(2);
        _till.Answer(Given.Confirmed(2, _till.Real)).Commit();
        Assert.Equal([1], _till.Did<AgentEffect.EraseSecret>().Select(e => e.Version));
    }

    [Fact]
    public void A_GRACE_version_the_server_is_silent_about_keeps_its_own_end()
    {
        SecretEntry grace = Given.Grace(1, Given.Start + TimeSpan.FromDays(3));
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(grace, Given.Active(2)));
        till.Rotate(3);
        Assert.Equal(grace.GraceUntil, till.State.Bound!.Secrets[0].GraceUntil);
    }

    [Fact]
    public void The_seventeenth_GRACE_is_refused()
    {
        CoreDriver till = CoreDriver.Enrolled(SixteenGrace());
        till.Step(new AgentEvent.RotateAsked(4));
        AgentEffect.CompleteRotate told = Assert.Single(till.Did<AgentEffect.CompleteRotate>());
        Assert.Equal((4, null, "too_many_grace"), (told.Ticket, told.Version, told.FailedBecause));
    }

    [Fact]
    public void On_a_directive_the_oldest_of_seventeen_GRACE_is_invalidated()
    {
        CoreDriver till = CoreDriver.Enrolled(SixteenGrace());
        till.CheckIn(new RotateNowDirective(17));
        till.Rotate(18);
        Assert.Equal(Enumerable.Range(2, 16).Select(v => (long)v), till.State.Bound!.Grace.Select(s => s.Version));
        Assert.Contains(till.Effects, e => e is AgentEffect.EraseSecret { Version: 1 });
    }

    [Fact]
    public void A_GRACE_past_its_end_makes_room_for_the_seventeenth()
    {
        CoreDriver till = CoreDriver.Enrolled(SixteenGrace());
        till.LoseContactUntil(Given.Start + TimeSpan.FromDays(5));
        till.Rotate(18);
        Assert.Equal(18, Views.Active(till.State)!.Version);
    }

    private static BoundState SixteenGrace() => Given.Bound(
    [
        .. Enumerable.Range(1, 16).Select(v => Given.Grace(v, Given.Start + TimeSpan.FromDays(v == 1 ? 4 : 8))),
        Given.Active(17),
    ]);

    /// <summary>Position of such a save before the last effect of a kind, in all that was done; −1 for none.</summary>
    private int SavedBefore<T>(Predicate<RunState> saved)
    {
        int last = _till.AllEffects.FindLastIndex(e => e is T);
        Assert.True(last >= 0);
        return _till.AllEffects.FindLastIndex(last, e => e is AgentEffect.SaveRun s && saved(s.Run));
    }
}
