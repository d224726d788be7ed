using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Contact;

/// <summary>When the chain of keysets is fetched, and what follows from a newer one.</summary>
public sealed class KeysetTests
{
    private static readonly FileReference Newer = new(2, Digest32.Sha256("keyset-2"u8));
    private static readonly TimeSpan FiveMinutes = TimeSpan.FromMinutes(5);

    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(2)));

    [Fact]
    public void A_check_in_that_names_a_newer_keyset_has_it_fetched()
    {
        CheckInNaming(version: 2);
        Assert.Equal(new AgentEffect.FetchKeysets(1), Assert.Single(Fetches()));
    }

    [Fact]
    public void A_check_in_that_names_the_trusted_keyset_fetches_nothing()
    {
        CheckInNaming(version: 1);
        Assert.Empty(Fetches());
    }

    [Fact]
    public void An_answer_signed_by_an_unknown_key_is_no_contact_and_has_the_chain_fetched()
    {
        UtcTime? contact = _till.Run.LastContact;
        Unknown();
        Assert.Single(Fetches());
        Assert.Equal(contact, _till.Run.LastContact);
    }

    [Fact]
    public void The_chain_is_asked_for_at_most_every_five_minutes()
    {
        Unknown();
        _till.Step(new AgentEvent.KeysetsFetched(Given.Keyset, Given.Start + TimeSpan.FromDays(365)));
        Unknown();
        Assert.Single(Fetches());
        _till.After(FiveMinutes);
        Assert.Equal(2, Fetches().Count());
    }

    [Fact]
    public void What_a_fetch_brings_moves_no_clock()
    {
        Unknown();
        TimeAnchor? anchor = _till.Run.Anchor;
        Fetched();
        Assert.Equal(anchor, _till.Run.Anchor);
    }

    [Fact]
    public void A_newer_keyset_is_one_generation_of_the_bound_state()
    {
        Unknown();
        Fetched();
        AgentEffect.CommitGeneration commit = Assert.Single(_till.AllEffects.OfType<AgentEffect.CommitGeneration>());
        Assert.Equal((8, Newer), (commit.Next.Generation, commit.Next.Keyset));
        _till.Step(new AgentEvent.GenerationCommitted(commit.Next));
        Assert.Single(_till.AllEffects.OfType<AgentEffect.CommitGeneration>());
    }

    [Fact]
    public void A_newer_keyset_found_on_disk_is_bound_as_well()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started());
        till.Step(new AgentEvent.StateLoaded(
            Given.Identity, Given.Bound(Given.Active(2)), Given.Run(Given.Bound(Given.Active(2))))
        {
            NewerKeyset = Newer,
        });
        till.Step(new AgentEvent.Anchored());
        till.Step(new AgentEvent.SecretsLoaded([2], []));
        Assert.Equal(Newer, till.AllEffects.OfType<AgentEffect.CommitGeneration>().Single().Next.Keyset);
    }

    [Fact]
    public void A_keyset_of_a_lower_version_is_a_bug_of_the_loop()
    {
        Unknown();
        Assert.Throws<InvariantBroken>(() => _till.Step(new AgentEvent.KeysetsFetched(
            new FileReference(0, Digest32.Sha256("older"u8)), Given.Start)));
    }

    [Fact]
    public void A_fetch_that_fails_raises_an_alert_and_is_tried_again()
    {
        Unknown();
        _till.Step(new AgentEvent.KeysetsNotFetched("keyset_signature"));
        Assert.Contains("keyset_unreachable", _till.State.Alerts.Keys);
        _till.After(FiveMinutes);
        Assert.Equal(2, Fetches().Count());
        Fetched();
        Assert.DoesNotContain("keyset_unreachable", _till.State.Alerts.Keys);
    }

    [Fact]
    public void Past_its_next_update_a_keyset_is_an_alert_and_no_refusal()
    {
        Unknown();
        _till.Step(new AgentEvent.KeysetsFetched(Newer, Given.Start + TimeSpan.FromHours(1)));
        Assert.DoesNotContain("keyset_overdue", _till.State.Alerts.Keys);
        _till.After(TimeSpan.FromHours(1));
        Assert.Contains("keyset_overdue", _till.State.Alerts.Keys);
        Assert.Equal(AgentMode.Normal, _till.Mode);
    }

    private IEnumerable<AgentEffect.FetchKeysets> Fetches() => _till.AllEffects.OfType<AgentEffect.FetchKeysets>();

    private void Fetched() => _till.Step(new AgentEvent.KeysetsFetched(Newer, Given.Start + TimeSpan.FromDays(365)));

    private void CheckInNaming(long version)
    {
        _till.State = _till.State with { CheckInUrgent = true };
        _till.Tick();
        _till.Answer(Given.CheckedIn(_till.Real) with { KeysetVersion = version });
    }

    private void Unknown()
    {
        _till.State = _till.State with { CheckInUrgent = true, CheckInGate = default };
        _till.Tick();
        Assert.IsType<Activity.Exchanging>(_till.State.Activity);
        _till.Step(new AgentEvent.ContactFailed("unknown_key", null));
    }
}
