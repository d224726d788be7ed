using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>When the client certificate is renewed, and what waits for it.</summary>
public sealed class CertificateTests
{
    private static readonly CertificateLife Year =
        new(Given.Start - TimeSpan.FromDays(200), Given.Start + TimeSpan.FromDays(100));

    private static readonly CertificateLife Fresh = new(Given.Start, Given.Start + TimeSpan.FromDays(365));

    private readonly BoundState _bound = Given.Bound(Given.Active(1));

    [Theory]
    [InlineData(-1, false)]
    [InlineData(0, true)]
    public void It_is_renewed_when_two_thirds_of_its_life_are_over(int days, bool renewed)
    {
        // 300 days of life, of which 200 are over at the start.
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.CheckIn();
        TimeSpan late = TimeSpan.FromDays(days);
        till.Step(new AgentEvent.Ticked { Certificate = new(Year.NotBefore - late, Year.NotAfter - late) });
        Assert.Equal(renewed, till.State.Activity is Activity.Exchanging { Plan: RequestPlan.RenewCertificate });
    }

    [Fact]
    public void A_server_that_says_it_has_expired_is_asked_for_another_at_once()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.ToPrepare();
        till.Refuse(ServerErrors.CertificateExpired);
        till.Plan<RequestPlan.RenewCertificate>();
        Assert.Contains("certificate_expired", till.State.Alerts.Keys);
    }

    [Fact]
    public void A_till_that_lost_its_state_has_an_expired_one_renewed_and_is_repaired_then()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started());
        till.Step(new AgentEvent.StateUnusable(
            Given.Identity, Given.Keyset, LockReason.StateRollback, 12, 1, RunState.Empty with { Highest = 1 }));
        till.CheckIn();
        till.SettleUntil<RequestPlan.Prepare>();
        till.Refuse(ServerErrors.CertificateExpired);
        till.Plan<RequestPlan.RenewCertificate>();
        till.Step(new AgentEvent.AnswerArrived(Given.Renewed(till.Real), new byte[] { 1 }, till.BootMs)
        {
            Certificate = Fresh,
        });
        Assert.Equal(RotationReasons.Recovery, till.SettleUntil<RequestPlan.Prepare>().Intent.Reason);
    }

    [Fact]
    public void The_renewed_one_is_durable_before_anything_else_is_sent_and_ends_the_alert()
    {
        CoreDriver till = Renewed();
        Assert.Equal("MIIB", Assert.Single(till.Did<AgentEffect.SaveCertificate>()).Chain[0]);
        Assert.IsType<AgentEffect.SaveCertificate>(till.Effects[0]);
        Assert.DoesNotContain("certificate_expired", till.State.Alerts.Keys);
        till.SettleUntil<RequestPlan.Prepare>();
    }

    [Fact]
    public void One_that_no_disk_takes_is_asked_for_again()
    {
        CoreDriver till = Renewed();
        till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        till.SettleUntil<RequestPlan.RenewCertificate>();
    }

    [Fact]
    public void A_renewal_that_is_not_answered_is_tried_again_and_takes_no_turn_from_check_ins()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.CheckIn();
        till.Step(new AgentEvent.Ticked { Certificate = Year });
        till.LoseContact();
        till.SettleUntil<RequestPlan.RenewCertificate>();
        till.LoseContact();
        till.SettleUntil<RequestPlan.CheckIn>();
    }

    [Fact]
    public void A_renewal_that_fails_is_no_failed_rotation()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.CheckIn();
        till.Step(new AgentEvent.Ticked { Certificate = Year });
        till.LoseContact();
        Assert.Equal(0, till.Run.FailedInARow);
    }

    [Theory]
    [InlineData(13, true)]
    [InlineData(15, false)]
    public void One_that_ends_in_less_than_14_days_raises_an_alert(int days, bool raised)
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        UtcTime end = till.TrustedNow + TimeSpan.FromDays(days);
        till.Step(new AgentEvent.Ticked { Certificate = new(end - TimeSpan.FromDays(300), end) });
        Assert.Equal(raised, till.State.Alerts.ContainsKey("certificate_expiring"));
    }

    [Fact]
    public void A_new_certificate_clears_the_alert()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.Step(new AgentEvent.Ticked { Certificate = new(Given.Start, till.TrustedNow + TimeSpan.FromDays(3)) });
        till.Step(new AgentEvent.TroubleNoticed("x", null) { Certificate = Fresh });
        Assert.DoesNotContain("certificate_expiring", till.State.Alerts.Keys);
    }

    private CoreDriver Renewed()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.ToPrepare();
        till.Refuse(ServerErrors.CertificateExpired);
        RenewCertificateAnswer answer = Given.Renewed(till.Real);
        return till.Step(new AgentEvent.AnswerArrived(answer, new byte[] { 1 }, till.BootMs) { Certificate = Fresh });
    }
}
