using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>
/// The nine alerts, each raised once however long its condition holds, and cleared once when it ends.
/// </summary>
public sealed class NineAlertTests
{
    private CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    [Fact]
    public void Rotation_failing_more_than_three_times_in_a_row()
    {
        for (int i = 0; i < 7; i++)
        {
            _till.ToPrepare();
            _till.LoseContact();
        }

        _till.Rotate(2).Settle();
        RequireRaisedAndClearedOnce("rotation_failing");
    }

    [Fact]
    public void DEGRADED_for_more_than_a_day()
    {
        UtcTime dayOver = Given.Active(1).ValidUntil + TimeSpan.FromHours(24);
        _till.LoseContactUntil(dayOver + TimeSpan.FromMinutes(2));
        _till.LoseContactUntil(dayOver + TimeSpan.FromHours(2));
        _till.Rotate(2).Settle();
        RequireRaisedAndClearedOnce("degraded_long");
    }

    [Fact]
    public void The_TPM_unavailable()
    {
        _till.Step(new AgentEvent.CheckpointWanted()).Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        UntilProbing();
        _till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "still gone"));
        UntilProbing();
        _till.Step(new AgentEvent.TpmReturned());
        RequireRaisedAndClearedOnce("tpm_unavailable");
    }

    [Fact]
    public void A_secret_expired_without_replacement()
    {
        _till.LoseContactUntil(Given.Active(1).GraceUntil);
        _till.LoseContactUntil(Given.Active(1).GraceUntil + TimeSpan.FromHours(1));
        _till.Rotate(2).Settle();
        RequireRaisedAndClearedOnce("secret_expired");
    }

    [Fact]
    public void A_clock_rollback()
    {
        _till.WallError = TimeSpan.FromDays(-1);
        _till.Tick().Tick();
        _till.WallError = TimeSpan.Zero;
        _till.Tick().Tick();
        RequireRaisedAndClearedOnce("clock_rollback");
    }

    [Fact]
    public void A_state_rollback()
    {
        _till = new CoreDriver();
        _till.Step(new AgentEvent.Started());
        _till.Step(new AgentEvent.StateUnusable(
            Given.Identity, Given.Keyset, LockReason.StateRollback, 4, 1, RunState.Empty));
        _till.CheckIn();
        _till.Rotate(1).Settle();
        RequireRaisedAndClearedOnce("state_rollback");
    }

    // What raises and clears these is in the daemon: LocalWiring for peers, TroubleWatch for log and certificate.
    [Theory]
    [InlineData("unauthorized_access")]
    [InlineData("audit_gap")]
    [InlineData("certificate_expiring")]
    public void What_the_daemon_notices(string alert)
    {
        for (int i = 0; i < 3; i++)
        {
            _till.Step(new AgentEvent.TroubleNoticed(alert, $"seen {i} times")).Tick();
        }

        _till.Step(new AgentEvent.TroubleNoticed(alert, null)).Tick();
        _till.Step(new AgentEvent.TroubleNoticed(alert, null));
        RequireRaisedAndClearedOnce(alert);
    }

    private void RequireRaisedAndClearedOnce(string alert)
    {
        Assert.Equal((1, 1), (Reported("alert_raised", alert), Reported("alert_cleared", alert)));
        Assert.DoesNotContain(alert, _till.State.Alerts.Keys);
    }

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
