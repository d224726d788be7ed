using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Contact;

/// <summary>Licenses that applications want wrapped anew: one try each, an answer to every one.</summary>
public sealed class RenewalTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(2)));

    [Fact]
    public void A_renewal_is_sent_at_once_and_its_token_goes_to_who_asked()
    {
        Ask(7, "old");
        AgentEffect.Send sent = Assert.Single(_till.Effects.OfType<AgentEffect.Send>());
        Assert.Equal(new LicenseRenewal(7, "old"), Assert.IsType<RequestPlan.RenewLicense>(sent.Plan).Asked);
        _till.Answer(Given.RenewedLicense(_till.Real));
        Assert.Equal(new AgentEffect.CompleteRenewal(7, "renewed", null, null), Assert.Single(Completed()));
    }

    [Fact]
    public void The_servers_no_is_told_with_its_reason()
    {
        Ask(7, "old");
        _till.Answer(Given.Refused(ServerErrors.LicenseRefused, _till.Real));
        Assert.Equal(new AgentEffect.CompleteRenewal(7, null, "refused", "because"), Assert.Single(Completed()));
    }

    [Fact]
    public void Without_an_answer_it_is_not_tried_again()
    {
        Ask(7, "old");
        _till.Step(new AgentEvent.ContactFailed("timeout", null));
        Assert.Equal("timeout", Assert.Single(Completed()).RefusedBecause);
        _till.After(TimeSpan.FromMinutes(1));
        Assert.Single(_till.AllEffects.OfType<AgentEffect.Send>(), s => s.Plan is RequestPlan.RenewLicense);
    }

    [Fact]
    public void A_wrong_clock_costs_one_repeat_at_once()
    {
        Ask(7, "old");
        _till.Answer(Given.Refused(ServerErrors.ClockSkew, _till.Real));
        Assert.Empty(Completed());
        _till.Answer(Given.RenewedLicense(_till.Real));
        Assert.Equal("renewed", Assert.Single(Completed()).Token);
    }

    [Theory]
    [InlineData(ServerErrors.VersionConflict)]
    [InlineData(ServerErrors.RejectedProof)]
    [InlineData(ServerErrors.RateLimited)]
    public void A_refusal_that_belongs_to_a_rotation_touches_no_secret(string error)
    {
        BoundState bound = Given.Bound(Given.Active(2));
        CoreDriver till = CoreDriver.Enrolled(
            bound, Given.Run(bound) with { Pending = Given.Pending(3, confirmSent: true), Highest = 3 });
        till.State = till.State with { Activity = Activity.Idle.Instance, RotationGate = new RetryGate(1, long.MaxValue) };
        till.Step(new AgentEvent.RenewalAsked(7, "old"));
        till.Answer(Given.Refused(error, till.Real, highest: 900));
        Assert.Equal((3, 3L), (till.Run.Pending!.Entry.Version, till.Run.Highest));
        Assert.Equal(error.ToLowerInvariant(), Assert.Single(
            till.AllEffects.OfType<AgentEffect.CompleteRenewal>()).RefusedBecause);
    }

    [Fact]
    public void Nobody_waits_for_the_server_without_a_TPM()
    {
        _till.Step(new AgentEvent.RenewalAsked(7, "old"));
        _till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        _till.Step(new AgentEvent.RenewalAsked(8, "old"));
        Assert.Equal(
            [(7, "tpm_unavailable"), (8, "tpm_unavailable")],
            Completed().Select(c => (c.Ticket, c.RefusedBecause!)));
    }

    [Fact]
    public void A_till_that_is_not_enrolled_answers_at_once()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.FoundNotEnrolled());
        till.Step(new AgentEvent.RenewalAsked(7, "old"));
        Assert.Equal(
            "not_enrolled", till.AllEffects.OfType<AgentEffect.CompleteRenewal>().Single().RefusedBecause);
    }

    [Fact]
    public void More_than_sixteen_waiting_are_turned_away()
    {
        for (long ticket = 1; ticket <= 17; ticket++)
        {
            _till.Step(new AgentEvent.RenewalAsked(ticket, "old"));
        }

        Assert.Equal((17, "too_many_waiting"), (Assert.Single(Completed()).Ticket, Completed().First().RefusedBecause));
    }

    private IEnumerable<AgentEffect.CompleteRenewal> Completed() =>
        _till.AllEffects.OfType<AgentEffect.CompleteRenewal>();

    private void Ask(long ticket, string token)
    {
        Assert.IsType<Activity.Idle>(_till.State.Activity);
        _till.Step(new AgentEvent.RenewalAsked(ticket, token));
    }
}
