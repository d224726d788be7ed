using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>Alerts are levels: raised once when they begin, cleared once when they end.</summary>
public sealed class AlertTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    [Fact]
    public void Three_failed_rotations_in_a_row_are_tolerated_and_four_are_not()
    {
        FailRotations(3);
        Assert.DoesNotContain("rotation_failing", _till.State.Alerts.Keys);
        FailRotations(1);
        Assert.Contains("rotation_failing", _till.State.Alerts.Keys);
    }

    [Fact]
    public void Rotations_that_go_on_failing_raise_the_alert_once()
    {
        FailRotations(12);
        Assert.Equal(1, Reported("alert_raised", "rotation_failing"));
    }

    [Fact]
    public void A_rotation_that_succeeds_clears_it_once()
    {
        FailRotations(6);
        _till.Rotate(2).Settle();
        _till.Rotate(3).Settle();
        Assert.Equal(1, Reported("alert_cleared", "rotation_failing"));
        Assert.DoesNotContain("rotation_failing", _till.State.Alerts.Keys);
    }

    [Fact]
    public void DEGRADED_for_more_than_a_day_raises_an_alert()
    {
        UtcTime dayOver = Given.Active(1).ValidUntil + TimeSpan.FromHours(24);
        _till.LoseContactUntil(dayOver);
        Assert.DoesNotContain("degraded_long", _till.State.Alerts.Keys);
        _till.LoseContactUntil(dayOver + TimeSpan.FromMinutes(2));
        Assert.Contains("degraded_long", _till.State.Alerts.Keys);
    }

    [Fact]
    public void A_secret_that_expired_without_replacement_is_critical_and_ends_with_the_commit()
    {
        _till.LoseContactUntil(Given.Active(1).GraceUntil);
        Assert.Equal("critical", _till.State.Alerts["secret_expired"].Severity);
        Assert.DoesNotContain("degraded_long", _till.State.Alerts.Keys);
        _till.Rotate(2);
        Assert.DoesNotContain("secret_expired", _till.State.Alerts.Keys);
    }

    [Fact]
    public void A_TPM_that_is_gone_raises_one_alert_however_often_it_is_probed()
    {
        LoseTpm();
        for (int i = 0; i < 10; i++)
        {
            UntilProbing();
            _till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        }

        UntilProbing();
        _till.Step(new AgentEvent.TpmReturned());
        Assert.Equal((1, 1), (Reported("alert_raised", "tpm_unavailable"), Reported("alert_cleared", "tpm_unavailable")));
        Assert.Equal((1, 1), (_till.CountAudited("tpm_lost"), _till.CountAudited("tpm_returned")));
    }

    [Fact]
    public void A_TPM_that_is_gone_at_start_raises_the_alert_too()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "no device"));
        Assert.Contains("tpm_unavailable", till.State.Alerts.Keys);
        Assert.Equal(LockReason.TpmUnavailable, till.State.Lock);
    }

    [Theory]
    [InlineData(-300_000, false)]
    [InlineData(-300_001, true)]
    public void A_wall_clock_more_than_five_minutes_behind_is_a_rollback(long ms, bool raised)
    {
        _till.WallError = TimeSpan.FromMilliseconds(ms);
        _till.Tick();
        Assert.Equal(raised, _till.State.Alerts.ContainsKey("clock_rollback"));
    }

    [Theory]
    [InlineData(48 * 3_600_000L, false)]
    [InlineData((48 * 3_600_000L) + 1, true)]
    public void A_wall_clock_more_than_two_days_ahead_is_a_jump(long ms, bool raised)
    {
        _till.WallError = TimeSpan.FromMilliseconds(ms);
        _till.Tick();
        Assert.Equal(raised, _till.State.Alerts.ContainsKey("clock_jump"));
    }

    [Fact]
    public void A_wall_clock_that_is_set_right_clears_the_alert_once()
    {
        _till.WallError = TimeSpan.FromDays(-1);
        _till.Tick().Tick();
        _till.WallError = TimeSpan.Zero;
        _till.Tick().Tick();
        Assert.Equal((1, 1), (Reported("alert_raised", "clock_rollback"), Reported("alert_cleared", "clock_rollback")));
    }

    [Fact]
    public void What_others_notice_is_raised_and_cleared_once()
    {
        for (int i = 0; i < 3; i++)
        {
            _till.Step(new AgentEvent.TroubleNoticed("audit_gap", $"{i} records are missing"));
        }

        Assert.Equal("2 records are missing", _till.State.Alerts["audit_gap"].Detail);
        _till.Step(new AgentEvent.TroubleNoticed("audit_gap", null));
        _till.Step(new AgentEvent.TroubleNoticed("audit_gap", null));
        Assert.Equal((1, 1), (Reported("alert_raised", "audit_gap"), Reported("alert_cleared", "audit_gap")));
    }

    [Fact]
    public void An_alert_keeps_the_time_at_which_it_began()
    {
        _till.Step(new AgentEvent.TroubleNoticed("audit_gap", "gap"));
        UtcTime since = _till.TrustedNow;
        _till.After(TimeSpan.FromHours(1));
        Assert.Equal(since, _till.State.Alerts["audit_gap"].Since);
    }

    [Fact]
    public void A_witness_that_contradicts_is_an_alert_changes_no_mode_and_ends_with_the_next_good_one()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Answer(Given.CheckedIn(_till.Real) with { Witness = new Witness(9, default, Conflict: true) });
        Assert.Contains("audit_regressed", _till.State.Alerts.Keys);
        Assert.Equal(AgentMode.Normal, _till.Mode);
        Assert.NotEqual(9, _till.Run.Witnessed?.Seq);
        _till.Settle().CheckIn();
        Assert.DoesNotContain("audit_regressed", _till.State.Alerts.Keys);
        Assert.Equal(1, _till.Run.Witnessed?.Seq);
    }

    [Fact]
    public void A_lost_state_is_critical_until_it_is_repaired()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started());
        till.Step(new AgentEvent.StateUnusable(
            Given.Identity, Given.Keyset, LockReason.StateRollback, 4, 1, RunState.Empty));
        Assert.Equal("critical", till.State.Alerts["state_rollback"].Severity);
        till.CheckIn();
        till.Rotate(1);
        Assert.DoesNotContain("state_rollback", till.State.Alerts.Keys);
    }

    [Fact]
    public void Every_attempt_that_fails_and_every_rotation_is_counted()
    {
        FailRotations(3);
        _till.Rotate(2);
        AgentEffect.CountRotation[] counted = [.. _till.AllEffects.OfType<AgentEffect.CountRotation>()];
        Assert.Equal((3, 1), (counted.Count(c => !c.Succeeded), counted.Count(c => c.Succeeded)));
    }

    private void FailRotations(int times)
    {
        for (int i = 0; i < times; i++)
        {
            _till.ToPrepare();
            _till.LoseContact();
        }
    }

    private void LoseTpm() =>
        _till.Step(new AgentEvent.CheckpointWanted()).Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));

    private void UntilProbing()
    {
        while (_till.State.Activity is not Activity.Probing)
        {
            _till.After(TimeSpan.FromMilliseconds(
                AgentCore.NextWakeBootMs(_till.State, _till.Now) - _till.BootMs));
        }
    }

    private int Reported(string what, string alert) =>
        _till.AllEffects.OfType<AgentEffect.Audit>().Count(a => a.Event == what && a.Op == alert);
}
