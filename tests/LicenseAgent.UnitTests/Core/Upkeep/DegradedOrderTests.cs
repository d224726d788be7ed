using LicenseAgent.Core;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>An operator says that licenses end with the secret's normal life, or takes that back.</summary>
public sealed class DegradedOrderTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(2)));

    [Fact]
    public void Forbidden_it_makes_DEGRADED_EXHAUSTED_and_allowed_again_DEGRADED()
    {
        Assert.Null(Order(false));
        Assert.Equal(AgentMode.Exhausted, PastNormalLife());
        Assert.Null(Order(true));
        Assert.Equal(AgentMode.Degraded, PastNormalLife());
    }

    [Fact]
    public void The_order_is_recorded_and_durable_before_the_operator_is_told()
    {
        Order(false);
        List<AgentEffect> effects = [.. _till.Effects];
        int record = effects.FindIndex(e => e is AgentEffect.Audit { Event: "degraded_ordered", Durable: true });
        int saved = effects.FindIndex(e => e is AgentEffect.SaveRun { Run.DegradedForbidden: true });
        int told = effects.FindIndex(e => e is AgentEffect.CompleteDegraded { RefusedBecause: null });
        Assert.True(record >= 0 && record < saved && saved < told);
    }

    [Fact]
    public void The_order_holds_after_a_restart()
    {
        Order(false);
        RunState saved = _till.State.Run;
        CoreDriver again = new();
        again.Step(new AgentEvent.Started());
        again.Step(new AgentEvent.StateLoaded(Given.Identity, Given.Bound(Given.Active(2)), saved));
        Assert.True(again.State.Run.DegradedForbidden);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_the_configuration_forbids_nobody_allows(bool allowed)
    {
        _till.Step(new AgentEvent.SettingsChanged(Given.Settings with { DegradedAllowed = false }));
        Assert.Equal("not_permitted", Order(allowed));
        Assert.Equal(AgentMode.Exhausted, PastNormalLife());
    }

    [Fact]
    public void An_order_that_is_not_durable_is_told_so()
    {
        _till.Step(new AgentEvent.DegradedAsked(3, false));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        Assert.Equal("storage_failed", Assert.Single(_till.Did<AgentEffect.CompleteDegraded>()).RefusedBecause);
    }

    [Fact]
    public void The_order_is_an_alert_until_it_is_taken_back()
    {
        Order(false);
        Order(false);
        Assert.Contains("degraded_forbidden", _till.State.Alerts.Keys);
        Order(true);
        Assert.DoesNotContain("degraded_forbidden", _till.State.Alerts.Keys);
        Assert.Equal(1, _till.AllEffects.Count(e => e is AgentEffect.Audit { Event: "alert_raised" }));
        Assert.Equal(1, _till.AllEffects.Count(e => e is AgentEffect.Audit { Event: "alert_cleared" }));
    }

    [Fact]
    public void Settings_that_are_read_anew_hold_from_the_next_decision()
    {
        _till.Step(new AgentEvent.SettingsChanged(Given.Settings with { OfflineAfter = TimeSpan.Zero }));
        Assert.Equal(AgentMode.Offline, _till.Mode);
    }

    private string? Order(bool allowed)
    {
        _till.Step(new AgentEvent.DegradedAsked(7, allowed));
        AgentEffect.CompleteDegraded told = Assert.Single(_till.Did<AgentEffect.CompleteDegraded>());
        Assert.Equal((7, allowed), (told.Ticket, told.Allowed));
        return told.RefusedBecause;
    }

    private AgentMode PastNormalLife() => Views.Facts(_till.State).At(_till.State.Bound!.Active!.ValidUntil);
}
