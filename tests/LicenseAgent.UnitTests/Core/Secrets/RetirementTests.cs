using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>The end of a secret: by trusted now it opens nothing more, by proven now it is erased.</summary>
public sealed class RetirementTests
{
    private static readonly UtcTime End = Given.Start + TimeSpan.FromHours(3);

    private readonly BoundState _bound = Given.Bound(Given.Grace(1, End), Given.Active(2));

    [Fact]
    public void Proven_now_past_grace_until_erases()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.LoseContactUntil(End);
        Assert.Equal(1, Assert.Single(till.AllEffects.OfType<AgentEffect.EraseSecret>()).Version);
        Assert.DoesNotContain(1L, till.State.Loaded);
    }

    [Fact]
    public void Nothing_is_erased_a_millisecond_before()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.LoseContactUntil(End - TimeSpan.FromMilliseconds(1));
        Assert.Empty(till.AllEffects.OfType<AgentEffect.EraseSecret>());
    }

    [Fact]
    public void The_record_of_it_is_durable_before_the_file_is_gone()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.LoseContactUntil(End);
        int record = till.AllEffects.FindIndex(e => e is AgentEffect.Audit { Event: "secret_retired", Durable: true });
        int erased = till.AllEffects.FindIndex(e => e is AgentEffect.EraseSecret);
        Assert.InRange(record, 0, erased);
    }

    [Fact]
    public void It_is_erased_once_though_the_entry_stays_until_the_next_generation()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound);
        till.LoseContactUntil(End + TimeSpan.FromHours(3));
        Assert.Single(till.AllEffects.OfType<AgentEffect.EraseSecret>());
        Assert.Equal([1, 2], till.State.Bound!.Secrets.Select(s => s.Version));
        till.Rotate(3);
        Assert.Equal([2, 3], till.State.Bound!.Secrets.Select(s => s.Version));
    }

    [Fact]
    public void Trusted_now_alone_ends_its_use_and_erases_nothing()
    {
        CoreDriver till = AheadOfWhatIsProven();
        UsableEntry grace = Views.Usable(till.State).Single(u => u.Entry.Version == 1);
        Assert.True(till.TrustedNow >= grace.End);
        Assert.Empty(till.AllEffects.OfType<AgentEffect.EraseSecret>());
    }

    [Fact]
    public void A_generation_by_trusted_now_alone_erases_nothing_either()
    {
        CoreDriver till = AheadOfWhatIsProven();
        till.Step(new AgentEvent.InvalidateAsked(1, 2, Force: true));
        while (till.State.Activity is not Activity.Committing)
        {
            till.LoseContact();
        }

        till.Commit();
        Assert.Contains(1L, till.State.Bound!.Secrets.Select(s => s.Version));
        Assert.DoesNotContain(till.AllEffects, e => e is AgentEffect.EraseSecret { Version: 1 });
    }

    [Fact]
    public void Contact_heals_what_a_clock_that_ran_ahead_had_ended()
    {
        CoreDriver till = AheadOfWhatIsProven();
        till.SettleUntil<RequestPlan.CheckIn>();
        till.Answer(Given.CheckedIn(Given.Start + TimeSpan.FromHours(1)));
        till.Settle();
        UsableEntry grace = Views.Usable(till.State).Single(u => u.Entry.Version == 1);
        Assert.True(till.TrustedNow < grace.End);
    }

    [Fact]
    public void ACTIVE_is_kept_past_its_end_because_contact_may_prove_that_it_is_not()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(2)));
        till.LoseContactUntil(Given.Start + TimeSpan.FromDays(12));
        Assert.Equal(AgentMode.Exhausted, till.Mode);
        Assert.Empty(till.AllEffects.OfType<AgentEffect.EraseSecret>());
    }

    [Fact]
    public void A_GRACE_that_ended_while_the_till_was_off_is_not_loaded()
    {
        CoreDriver till = CoreDriver.Enrolled(_bound, Given.Run(_bound) with
        {
            Anchor = new TimeAnchor(End, "boot-1", CoreDriver.FirstBootMs),
        });
        Assert.DoesNotContain(till.AllEffects.OfType<AgentEffect.LoadSecrets>().SelectMany(l => l.Entries),
            e => e.Version == 1);
    }

    [Fact]
    public void A_secret_retired_while_it_was_being_read_is_erased_again()
    {
        CoreDriver till = new();
        till.Load(_bound);
        till.Step(new AgentEvent.SecretsLoaded([2], []));
        Assert.Equal([1], till.Under<Activity.LoadingSecrets>().Entries.Select(e => e.Version));
        till.After(TimeSpan.FromHours(3));
        Assert.Contains(till.Effects, e => e is AgentEffect.EraseSecret { Version: 1 });
        till.Step(new AgentEvent.SecretsLoaded([1], []));
        Assert.Contains(till.Effects, e => e is AgentEffect.EraseSecret { Version: 1 });
        Assert.DoesNotContain(1L, till.State.Loaded);
    }

    /// <summary>Another boot: the high-water says that v1 is over, no server has proven it.</summary>
    private CoreDriver AheadOfWhatIsProven()
    {
        CoreDriver till = new() { BootId = "boot-2", BootMs = 9_000 };
        till.Load(_bound, Given.Run(_bound) with
        {
            HighWater = new HighWater(End, "boot-1", CoreDriver.FirstBootMs),
        });
        till.Step(new AgentEvent.SecretsLoaded([2], []));
        till.State = till.State with { Loaded = till.State.Loaded.Add(1) };
        return till;
    }
}
