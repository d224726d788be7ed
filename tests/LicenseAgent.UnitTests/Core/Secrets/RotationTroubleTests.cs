using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>The table of what goes wrong in a rotation, one test a line.</summary>
public sealed class RotationTroubleTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    public static TheoryData<string> DefiniteFailures() =>
        new(RejectReasons.UnwrapFailed, RejectReasons.KcvMismatch, RejectReasons.ReopenFailed);

    [Fact]
    public void A_lost_prepare_answer_is_asked_for_under_the_same_request_id()
    {
        string first = _till.ToPrepare().RequestId;
        _till.LoseContact();
        Assert.Equal(first, _till.SettleUntil<RequestPlan.Prepare>().RequestId);
    }

    [Fact]
    public void A_prepare_is_repeated_under_the_same_request_id_after_a_restart()
    {
        string first = _till.ToPrepare().RequestId;
        RunState durable = _till.AllEffects.OfType<AgentEffect.SaveRun>().Last().Run;
        CoreDriver restarted = CoreDriver.Enrolled(_till.State.Bound!, durable);
        Assert.Equal(first, restarted.SettleUntil<RequestPlan.Prepare>().RequestId);
    }

    [Fact]
    public void A_lost_confirm_answer_is_repeated_until_both_sides_agree()
    {
        _till.ToConfirm(2);
        string first = _till.Plan<RequestPlan.Confirm>().RequestId;
        for (int i = 0; i < 5; i++)
        {
            _till.LoseContact();
            Assert.Equal(first, _till.SettleUntil<RequestPlan.Confirm>().RequestId);
        }

        _till.Answer(Given.Confirmed(2, _till.Real)).Commit();
        Assert.Equal(2, Views.Active(_till.State)!.Version);
    }

    [Fact]
    public void A_lost_reject_answer_is_repeated_under_the_same_request_id()
    {
        string first = ToReject(2, RejectReasons.UnwrapFailed).RequestId;
        _till.LoseContact();
        Assert.Equal(first, _till.SettleUntil<RequestPlan.Reject>().RequestId);
    }

    [Fact]
    public void PENDING_whose_confirm_was_not_sent_is_dropped_at_confirm_by()
    {
        CoreDriver till = StagedWithoutTpm();
        FailProbeAfter(till, TimeSpan.FromHours(1));
        Assert.Null(till.Run.Pending);
        Assert.Contains(till.Effects, e => e is AgentEffect.EraseSecret { Version: 2 });
    }

    [Fact]
    public void PENDING_whose_confirm_was_not_sent_is_kept_until_confirm_by()
    {
        CoreDriver till = StagedWithoutTpm();
        FailProbeAfter(till, TimeSpan.FromHours(1) - TimeSpan.FromMilliseconds(1));
        Assert.NotNull(till.Run.Pending);
    }

    [Fact]
    public void PENDING_whose_confirm_was_sent_outlives_confirm_by()
    {
        _till.ToConfirm(2);
        _till.LoseContact();
        _till.LoseContactUntil(_till.Real + TimeSpan.FromDays(1));
        Assert.Equal(2, _till.Run.Pending?.Entry.Version);
    }

    [Fact]
    public void PENDING_whose_confirm_was_sent_is_dropped_at_its_own_grace_until()
    {
        _till.ToConfirm(2);
        _till.LoseContactUntil(_till.Run.Pending!.Entry.GraceUntil + TimeSpan.FromMinutes(10));
        Assert.Null(_till.Run.Pending);
    }

    [Fact]
    public void The_run_state_is_saved_before_the_file_of_a_dropped_PENDING_is_erased()
    {
        CoreDriver till = StagedWithoutTpm();
        FailProbeAfter(till, TimeSpan.FromHours(2));
        int erased = till.Effects.IndexOf(till.Did<AgentEffect.EraseSecret>().Single());
        int saved = till.Effects.IndexOf(till.Did<AgentEffect.SaveRun>().Last());
        Assert.InRange(saved, 0, erased);
    }

    [Fact]
    public void After_a_restart_between_stage_and_confirm_PENDING_is_found_and_confirmed()
    {
        _till.ToConfirm(2);
        string first = _till.Plan<RequestPlan.Confirm>().RequestId;
        RunState durable = _till.AllEffects.OfType<AgentEffect.SaveRun>().Last().Run;
        CoreDriver restarted = CoreDriver.Enrolled(_till.State.Bound!, durable);
        Assert.Equal(first, restarted.SettleUntil<RequestPlan.Confirm>().RequestId);
    }

    [Fact]
    public void PENDING_is_confirmed_only_when_its_secret_is_in_memory()
    {
        CoreDriver till = new();
        BoundState bound = Given.Bound(Given.Active(1));
        till.Load(bound, Given.Run(bound) with { Pending = Given.Pending(2, confirmSent: true), Highest = 2 });
        till.Step(new AgentEvent.SecretsLoaded([1], []));
        Assert.Equal([2], till.Under<Activity.LoadingSecrets>().Entries.Select(e => e.Version));
    }

    [Fact]
    public void PENDING_whose_file_is_damaged_is_asked_for_again()
    {
        CoreDriver till = new();
        BoundState bound = Given.Bound(Given.Active(1));
        till.Load(bound, Given.Run(bound) with { Pending = Given.Pending(2, confirmSent: false), Highest = 2 });
        till.Step(new AgentEvent.SecretsLoaded([1], []));
        till.Step(new AgentEvent.SecretsLoaded([], [2]));
        Assert.Null(till.Run.Pending);
        till.Step(new AgentEvent.RotateAsked(1));
        till.SettleUntil<RequestPlan.Prepare>();
        till.Answer(Given.Prepared(2, till.Real));
        Assert.Equal(2, till.Under<Activity.Staging>().Answer.SecretVersion);
    }

    [Theory]
    [MemberData(nameof(DefiniteFailures))]
    public void A_staging_that_definitely_fails_twice_is_given_back_with_its_reason(string reason)
    {
        Assert.Equal((2, reason), (ToReject(2, reason).Version, _till.Run.Reject!.Reason));
    }

    [Fact]
    public void A_first_definite_failure_asks_for_the_same_version_again()
    {
        string first = _till.ToPrepare().RequestId;
        _till.Answer(Given.Prepared(2, _till.Real));
        _till.Step(new AgentEvent.StagingFailed(2, RejectReasons.UnwrapFailed, "TPM_RC_VALUE"));
        Assert.Null(_till.Run.Reject);
        Assert.Equal(first, _till.SettleUntil<RequestPlan.Prepare>().RequestId);
    }

    [Fact]
    public void A_staging_that_may_succeed_later_is_never_given_back()
    {
        for (int i = 0; i < 10; i++)
        {
            _till.ToPrepare();
            _till.Answer(Given.Prepared(2, _till.Real));
            _till.Step(new AgentEvent.StagingFailed(2, null, "TPM_RC_RETRY"));
        }

        Assert.Null(_till.Run.Reject);
        Assert.DoesNotContain("rotation_rejected", _till.State.Alerts.Keys);
    }

    [Fact]
    public void After_a_version_was_given_back_a_new_one_is_asked_for_under_a_new_request_id()
    {
        string first = _till.ToPrepare().RequestId;
        ToReject(2, RejectReasons.UnwrapFailed);
        _till.Answer(Given.Rejected(2, _till.Real));
        Assert.NotEqual(first, _till.ToPrepare().RequestId);
    }

    [Fact]
    public void Three_versions_given_back_in_a_row_alarm_and_pause_an_hour()
    {
        for (long version = 2; version <= 4; version++)
        {
            ToReject(version, RejectReasons.UnwrapFailed, settle: version < 4);
        }

        Assert.Contains("rotation_rejected", _till.State.Alerts.Keys);
        Assert.Equal(_till.BootMs + 3_600_000, _till.State.RotationGate.NotBeforeBootMs);
    }

    [Fact]
    public void Versions_taken_out_of_use_by_order_are_no_reason_to_alarm()
    {
        for (long version = 2; version <= 5; version++)
        {
            _till.ToConfirm(version);
            _till.Step(new AgentEvent.InvalidateAsked(version, version, false));
            _till.LoseContact();
            _till.SettleUntil<RequestPlan.Reject>();
            _till.Answer(Given.Rejected(version, _till.Real));
        }

        Assert.DoesNotContain("rotation_rejected", _till.State.Alerts.Keys);
    }

    [Fact]
    public void A_confirm_answered_for_another_version_commits_nothing()
    {
        _till.ToConfirm(2);
        _till.Answer(Given.Confirmed(3, _till.Real));
        Assert.IsNotType<Activity.Committing>(_till.State.Activity);
        Assert.Equal(2, _till.Run.Pending?.Entry.Version);
    }

    [Fact]
    public void A_confirm_answer_that_forbids_the_version_drops_PENDING_and_keeps_the_order()
    {
        _till.ToConfirm(2);
        _till.Answer(Given.Confirmed(2, _till.Real, minValid: 3));
        Assert.Null(_till.Run.Pending);
        Assert.Equal(3, _till.Run.Levels.MinValidVersion);
    }

    /// <summary>Two definite failures of a version, up to the reject that is out (or held back).</summary>
    private RequestPlan.Reject ToReject(long version, string reason, bool settle = true)
    {
        if (_till.State.Activity is Activity.Exchanging { Plan: RequestPlan.Reject before })
        {
            _till.Answer(Given.Rejected(before.Version, _till.Real));
        }

        for (int i = 0; i < 2; i++)
        {
            _till.ToPrepare();
            _till.Answer(Given.Prepared(version, _till.Real));
            _till.Step(new AgentEvent.StagingFailed(version, reason, "definitely"));
        }

        RejectIntent intent = _till.Run.Reject!;
        return settle
            ? _till.SettleUntil<RequestPlan.Reject>()
            : new RequestPlan.Reject(intent.RequestId, intent.Version, intent.Reason);
    }

    private static void FailProbeAfter(CoreDriver till, TimeSpan span)
    {
        till.After(span);
        till.Under<Activity.Probing>();
        till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
    }

    /// <summary>Staged, and the TPM went away before the confirm could be signed.</summary>
    private static CoreDriver StagedWithoutTpm()
    {
        BoundState bound = Given.Bound(Given.Active(1));
        CoreDriver till = CoreDriver.Enrolled(bound);
        till.Step(new AgentEvent.CheckpointWanted());
        till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        till.State = till.State with
        {
            Run = till.Run with { Pending = Given.Pending(2, confirmSent: false), Highest = 2 },
            Loaded = till.State.Loaded.Add(2),
        };
        return till;
    }
}
