using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>The table of authenticated refusals, one test a row, and what all rows have in common.</summary>
public sealed class RefusalTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    public static TheoryData<string> AllErrors() => new(
        ServerErrors.ClockSkew, ServerErrors.Replay, ServerErrors.RequestMismatch, ServerErrors.RateLimited,
        ServerErrors.VersionConflict, ServerErrors.RejectedProof, ServerErrors.DowngradeRefused,
        ServerErrors.CertificateExpired, ServerErrors.AgentUnknown, ServerErrors.CloneSuspect,
        ServerErrors.AgentSuspended, ServerErrors.EnrollmentRefused);

    public static TheoryData<string, string> Holds() => new()
    {
        { ServerErrors.DowngradeRefused, "downgrade_refused" },
        { ServerErrors.CertificateExpired, "certificate_expired" },
        { ServerErrors.AgentUnknown, "agent_unknown" },
        { ServerErrors.CloneSuspect, "clone_suspect" },
    };

    [Theory]
    [MemberData(nameof(AllErrors))]
    public void A_refusal_is_contact_and_moves_trusted_now(string error)
    {
        _till.ToPrepare();
        UtcTime server = _till.Real + TimeSpan.FromHours(3);
        _till.Answer(Given.Refused(error, server));
        Assert.Equal(server, _till.TrustedNow);
        Assert.Equal(server, _till.Run.LastContact);
    }

    [Theory]
    [MemberData(nameof(AllErrors))]
    public void A_refusal_drops_no_secret_that_is_ACTIVE(string error)
    {
        _till.ToPrepare();
        _till.Refuse(error);
        Assert.Equal(1, Views.Active(_till.State)!.Version);
        Assert.Contains(1L, Views.Usable(_till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void An_error_nobody_knows_is_no_contact()
    {
        _till.ToPrepare();
        UtcTime trusted = _till.TrustedNow;
        UtcTime? contact = _till.Run.LastContact;
        _till.Answer(Given.Refused("TEAPOT", _till.Real + TimeSpan.FromHours(3)));
        Assert.Equal((trusted, contact), (_till.TrustedNow, _till.Run.LastContact));
        Assert.False(_till.State.RotationGate.IsOpen(_till.Now));
    }

    [Theory]
    [InlineData(ServerErrors.ClockSkew)]
    [InlineData(ServerErrors.Replay)]
    public void CLOCK_SKEW_and_REPLAY_repeat_once_at_once_then_back_off(string error)
    {
        string first = _till.ToPrepare().RequestId;
        _till.Refuse(error);
        Assert.Equal(first, _till.Plan<RequestPlan.Prepare>().RequestId);
        _till.Refuse(error);
        Assert.IsType<Activity.Idle>(_till.State.Activity);
        Assert.InRange(_till.State.RotationGate.NotBeforeBootMs, _till.BootMs + 1_000, _till.BootMs + 300_000);
    }

    [Theory]
    [InlineData(ServerErrors.ClockSkew)]
    [InlineData(ServerErrors.Replay)]
    public void A_check_in_is_repeated_at_once_too(string error)
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Refuse(error);
        _till.Plan<RequestPlan.CheckIn>();
    }

    [Fact]
    public void REQUEST_MISMATCH_takes_a_new_request_id_for_a_prepare_and_alarms()
    {
        string first = _till.ToPrepare().RequestId;
        _till.Refuse(ServerErrors.RequestMismatch);
        Assert.Contains("request_mismatch", _till.State.Alerts.Keys);
        Assert.NotEqual(first, _till.ToPrepare().RequestId);
    }

    [Fact]
    public void REQUEST_MISMATCH_takes_a_new_request_id_for_a_confirm_and_keeps_PENDING()
    {
        _till.ToConfirm(2);
        string first = _till.Plan<RequestPlan.Confirm>().RequestId;
        _till.Refuse(ServerErrors.RequestMismatch);
        RequestPlan.Confirm again = _till.SettleUntil<RequestPlan.Confirm>();
        Assert.NotEqual(first, again.RequestId);
        Assert.True(again.Pending.ConfirmSent);
    }

    [Theory]
    [InlineData(7, 7_000)]
    [InlineData(3_600, 3_600_000)]
    [InlineData(86_400, 3_600_000)]
    public void RATE_LIMITED_waits_as_long_as_the_server_wants_up_to_an_hour(int seconds, long ms)
    {
        _till.Chance = UInt128.Zero;
        _till.ToPrepare();
        _till.Refuse(ServerErrors.RateLimited, seconds);
        long wait = _till.State.RotationGate.NotBeforeBootMs - _till.BootMs;
        Assert.Equal(ms, wait);
    }

    [Fact]
    public void RATE_LIMITED_holds_a_check_in_the_same_way()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Refuse(ServerErrors.RateLimited, 86_400);
        Assert.Equal(_till.BootMs + 3_600_000, _till.State.CheckInGate.NotBeforeBootMs);
    }

    [Fact]
    public void VERSION_CONFLICT_drops_PENDING_raises_highest_and_prepares_anew()
    {
        string first = _till.ToPrepare().RequestId;
        _till.Answer(Given.Prepared(2, _till.Real));
        _till.Staged(2);
        _till.Refuse(ServerErrors.VersionConflict, active: 1, highest: 6);
        Assert.Null(_till.Run.Pending);
        RequestPlan.Prepare again = _till.ToPrepare();
        Assert.NotEqual(first, again.RequestId);
        Assert.Equal(6, again.Highest);
    }

    [Fact]
    public void VERSION_CONFLICT_is_durable_before_the_file_of_PENDING_is_erased()
    {
        _till.ToConfirm(2);
        _till.Refuse(ServerErrors.VersionConflict, active: 1, highest: 2);
        Assert.Null(_till.Did<AgentEffect.SaveRun>().Last().Run.Pending);
        Assert.Equal(2, Assert.Single(_till.Did<AgentEffect.EraseSecret>()).Version);
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(1_002, 1_002)]
    [InlineData(1_000_000, 1_002)]
    public void VERSION_CONFLICT_moves_highest_up_only_and_at_most_a_thousand(long told, long highest)
    {
        _till.ToConfirm(2);
        _till.Refuse(ServerErrors.VersionConflict, active: 1, highest: told);
        Assert.Equal(highest, Views.Highest(_till.State));
    }

    [Fact]
    public void REJECTED_PROOF_gives_PENDING_back()
    {
        _till.ToConfirm(2);
        _till.Refuse(ServerErrors.RejectedProof);
        Assert.Null(_till.Run.Pending);
        RequestPlan.Reject reject = _till.SettleUntil<RequestPlan.Reject>();
        Assert.Equal((2, RejectReasons.KcvMismatch), (reject.Version, reject.Reason));
    }

    [Theory]
    [MemberData(nameof(Holds))]
    public void What_only_an_operator_ends_is_tried_again_hourly(string error, string alert)
    {
        _till.ToPrepare();
        _till.Refuse(error);
        Assert.Contains(alert, _till.State.Alerts.Keys);
        Assert.Equal(_till.BootMs + 3_600_000, _till.State.RotationGate.NotBeforeBootMs);
    }

    [Theory]
    [MemberData(nameof(Holds))]
    public void What_only_an_operator_ends_changes_no_mode(string error, string alert)
    {
        _till.ToPrepare();
        _till.Refuse(error);
        Assert.Equal(AgentMode.Normal, _till.Mode);
        Assert.Equal(1, _till.AllEffects.Count(e => e is AgentEffect.Audit { Event: "alert_raised" } a && a.Op == alert));
    }

    [Theory]
    [MemberData(nameof(Holds))]
    public void Check_ins_go_on_meanwhile_and_do_not_clear_what_a_rotation_ran_into(string error, string alert)
    {
        _till.ToPrepare();
        _till.Refuse(error);
        _till.CheckIn();
        bool cleared = !_till.State.Alerts.ContainsKey(alert);
        Assert.Equal(error == ServerErrors.AgentUnknown, cleared);
    }

    [Theory]
    [MemberData(nameof(Holds))]
    public void The_alert_ends_with_the_first_answer_that_gives_a_version(string error, string alert)
    {
        _till.ToPrepare();
        _till.Refuse(error);
        _till.Pass(TimeSpan.FromHours(1));
        _till.ToPrepare();
        _till.Answer(Given.Prepared(2, _till.Real));
        Assert.DoesNotContain(alert, _till.State.Alerts.Keys);
    }

    [Fact]
    public void AGENT_UNKNOWN_serves_until_grace_until()
    {
        _till.ToPrepare();
        _till.Refuse(ServerErrors.AgentUnknown);
        Assert.Equal(Given.Active(1).GraceUntil, Views.Facts(_till.State).EffectiveEnd);
    }

    [Fact]
    public void CLONE_SUSPECT_ends_grace_24_h_after_the_first_one()
    {
        _till.ToPrepare();
        UtcTime first = _till.Real;
        _till.Refuse(ServerErrors.CloneSuspect);
        _till.Pass(TimeSpan.FromHours(5));
        _till.ToPrepare();
        _till.Refuse(ServerErrors.CloneSuspect);
        Assert.Equal(first + TimeSpan.FromHours(24), Views.Facts(_till.State).EffectiveEnd);
    }

    [Fact]
    public void CLONE_SUSPECT_is_durable_and_ends_with_the_commit_of_a_rotation()
    {
        _till.ToPrepare();
        _till.Refuse(ServerErrors.CloneSuspect);
        Assert.NotNull(_till.Did<AgentEffect.SaveRun>().Last().Run.CloneSuspectSince);
        _till.Pass(TimeSpan.FromHours(1));
        _till.Rotate(2);
        Assert.Null(_till.Run.CloneSuspectSince);
        Assert.Equal(AgentMode.Normal, _till.Mode);
    }

    [Fact]
    public void AGENT_SUSPENDED_locks_until_a_check_in_without_suspend()
    {
        _till.ToPrepare();
        _till.Refuse(ServerErrors.AgentSuspended);
        Assert.Equal((AgentMode.Locked, LockReason.Suspended), (_till.Mode, Views.Facts(_till.State).Lock));
        _till.CheckIn(new SuspendDirective());
        Assert.Equal(AgentMode.Locked, _till.Mode);
        _till.CheckIn();
        Assert.Equal(AgentMode.Normal, _till.Mode);
    }

    [Fact]
    public void AGENT_SUSPENDED_is_durable_and_in_the_audit_before_anything_else()
    {
        _till.ToPrepare();
        _till.Refuse(ServerErrors.AgentSuspended);
        Assert.True(_till.Did<AgentEffect.SaveRun>().First().Run.Levels.Suspended);
        Assert.Contains(_till.Effects, e => e is AgentEffect.Audit { Event: "agent_suspended", Durable: true });
    }
}
