using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Contact;

/// <summary>I17: the file of the revocations is gone, and somebody hears of it.</summary>
public sealed class LostRevocationsTests
{
    private readonly CoreDriver _till = new();

    public LostRevocationsTests()
    {
        BoundState bound = Given.Bound(Given.Active(2));
        _till.Step(new AgentEvent.Started());
        _till.Step(new AgentEvent.StateLoaded(Given.Identity, bound, Given.Run(bound)) { RevocationsLost = true });
        _till.Step(new AgentEvent.Anchored());
        _till.Step(new AgentEvent.SecretsLoaded([2], []));
    }

    [Fact]
    public void A_lost_list_is_audited_and_an_alert()
    {
        Assert.Contains("revocations_missing", _till.State.Alerts.Keys);
        Assert.Contains(
            _till.AllEffects.OfType<AgentEffect.Audit>(), a => a is { Event: "revocations_missing", Durable: true });
    }

    [Fact]
    public void A_check_in_is_sent_at_once_that_names_no_list_and_its_answer_ends_the_alert()
    {
        AgentEffect.Send sent = Assert.Single(_till.Effects.OfType<AgentEffect.Send>());
        Assert.Equal(0, Assert.IsType<RequestPlan.CheckIn>(sent.Plan).RevocationsVersion);
        _till.Answer(Given.CheckedIn(_till.Real, revocations: new RevocationList(4, ["lic-1"])));
        Assert.DoesNotContain("revocations_missing", _till.State.Alerts.Keys);
        Assert.Equal(4, _till.Run.Levels.Revocations!.Version);
    }
}
