using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>The table of modes, and every combination of the facts it follows from at every edge of time.</summary>
public sealed class ModeTests
{
    private static readonly UtcTime Valid = Given.Start + TimeSpan.FromDays(2);
    private static readonly UtcTime End = Given.Start + TimeSpan.FromDays(9);
    private static readonly UtcTime Contact = Given.Start;

    private static readonly ModeFacts Facts = new(null, Valid, End, Contact, TimeSpan.FromHours(24), true);

    public static TheoryData<LockReason?, int, int, int, bool> Combinations()
    {
        TheoryData<LockReason?, int, int, int, bool> all = [];
        LockReason?[] locks = [null, .. Enum.GetValues<LockReason>().Select(l => (LockReason?)l)];
        foreach (LockReason? locked in locks)
        {
            for (int end = 0; end < Ends.Length; end++)
            {
                for (int contact = 0; contact < Contacts.Length; contact++)
                {
                    for (int valid = 0; valid < Valids.Length; valid++)
                    {
                        all.Add(locked, valid, end, contact, true);
                        all.Add(locked, valid, end, contact, false);
                    }
                }
            }
        }

        return all;
    }

    private static UtcTime?[] Valids => [null, Valid];

    // The end usual, at valid_until itself, shortened to before it, and missing.
    private static UtcTime?[] Ends => [null, End, Valid, Valid - TimeSpan.FromHours(5)];

    // Never, a day before the ends below, long ago, and ahead of a clock that was corrected back.
    private static UtcTime?[] Contacts =>
        [null, Valid - TimeSpan.FromHours(24), Contact, End + TimeSpan.FromDays(1)];

    [Theory]
    [MemberData(nameof(Combinations))]
    public void A_mode_follows_from_the_facts_at_every_edge(
        LockReason? locked, int valid, int end, int contact, bool degradedAllowed)
    {
        ModeFacts facts = new(
            locked, Valids[valid], Ends[end], Contacts[contact], TimeSpan.FromHours(24), degradedAllowed);
        foreach (UtcTime edge in Edges(facts))
        {
            foreach (long ms in (long[])[-1, 0, 1])
            {
                UtcTime now = edge + TimeSpan.FromMilliseconds(ms);
                Assert.Equal(Stated(facts, now), facts.At(now));
                Assert.Equal(StatedUsableUntil(facts, now), facts.UsableUntil(now));
            }
        }
    }

    [Theory]
    [InlineData(-1, AgentMode.Normal)]
    [InlineData(0, AgentMode.Offline)]
    public void OFFLINE_begins_offline_after_the_last_contact(long ms, AgentMode mode) =>
        Assert.Equal(mode, Facts.At(Contact + TimeSpan.FromHours(24) + TimeSpan.FromMilliseconds(ms)));

    [Theory]
    [InlineData(-1, AgentMode.Offline)]
    [InlineData(0, AgentMode.Degraded)]
    public void DEGRADED_begins_at_valid_until(long ms, AgentMode mode) =>
        Assert.Equal(mode, Facts.At(Valid + TimeSpan.FromMilliseconds(ms)));

    [Theory]
    [InlineData(-1, AgentMode.Degraded)]
    [InlineData(0, AgentMode.Exhausted)]
    public void EXHAUSTED_begins_at_the_effective_end(long ms, AgentMode mode) =>
        Assert.Equal(mode, Facts.At(End + TimeSpan.FromMilliseconds(ms)));

    [Fact]
    public void DEGRADED_that_is_not_allowed_is_EXHAUSTED() =>
        Assert.Equal(AgentMode.Exhausted, (Facts with { DegradedAllowed = false }).At(Valid));

    [Fact]
    public void Contact_does_not_lift_DEGRADED() =>
        Assert.Equal(AgentMode.Degraded, (Facts with { LastContact = Valid }).At(Valid));

    [Fact]
    public void Without_ACTIVE_the_reason_is_NO_SECRET() =>
        Assert.Equal(LockReason.NoSecret, (Facts with { ValidUntil = null, EffectiveEnd = null }).ReasonWhenLocked);

    [Fact]
    public void PENDING_prolongs_nothing()
    {
        CoreDriver driver = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));
        ModeFacts before = Views.Facts(driver.State);
        driver.ToConfirm(2);
        Assert.NotNull(driver.Run.Pending);
        Assert.Equal(before with { LastContact = driver.Run.LastContact }, Views.Facts(driver.State));
    }

    [Fact]
    public void A_commit_in_EXHAUSTED_leads_to_NORMAL_at_once()
    {
        CoreDriver driver = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));
        driver.Settle().LoseContactUntil(Given.Start + TimeSpan.FromDays(10));
        Assert.Equal(AgentMode.Exhausted, driver.Mode);
        driver.Rotate(2);
        Assert.Equal(AgentMode.Normal, driver.Mode);
    }

    [Fact]
    public void The_effective_end_is_the_earlier_of_grace_until_and_the_local_grace_period()
    {
        CoreSettings strict = Given.Settings with { GracePeriod = TimeSpan.FromDays(1) };
        CoreDriver driver = CoreDriver.Enrolled(Given.Bound(Given.Active(1)), settings: strict);
        Assert.Equal(Given.Start + TimeSpan.FromDays(3), Views.Facts(driver.State).EffectiveEnd);
    }

    [Fact]
    public void A_local_grace_period_cannot_lengthen()
    {
        CoreSettings lax = Given.Settings with { GracePeriod = TimeSpan.FromDays(90) };
        CoreDriver driver = CoreDriver.Enrolled(Given.Bound(Given.Active(1)), settings: lax);
        Assert.Equal(Given.Start + TimeSpan.FromDays(9), Views.Facts(driver.State).EffectiveEnd);
    }

    [Fact]
    public void A_change_of_mode_is_audited_once()
    {
        CoreDriver driver = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));
        driver.LoseContactUntil(Given.Start + TimeSpan.FromDays(2) + TimeSpan.FromHours(1));
        string[] modes = [.. driver.AllEffects.OfType<AgentEffect.Audit>()
            .Where(a => a.Event == "mode_changed").Select(a => a.Op)];
        Assert.Equal(["OFFLINE", "DEGRADED"], modes);
    }

    private static IEnumerable<UtcTime> Edges(ModeFacts facts)
    {
        UtcTime?[] edges = [facts.ValidUntil, facts.EffectiveEnd, facts.LastContact + facts.OfflineAfter, Given.Start];
        return edges.OfType<UtcTime>();
    }

    /// <summary>The table of modes, read from the bottom row up.</summary>
    private static AgentMode Stated(ModeFacts facts, UtcTime now)
    {
        bool hasActive = facts.ValidUntil is not null && facts.EffectiveEnd is not null;
        if (facts.Lock is not null || !hasActive)
        {
            return AgentMode.Locked;
        }

        bool isValid = now < facts.ValidUntil!.Value;
        bool ended = now >= facts.EffectiveEnd!.Value;
        bool heard = facts.LastContact is { } contact && now < contact + facts.OfflineAfter;
        return (ended, isValid, facts.DegradedAllowed, heard) switch
        {
            (true, _, _, _) => AgentMode.Exhausted,
            (false, true, _, true) => AgentMode.Normal,
            (false, true, _, false) => AgentMode.Offline,
            (false, false, true, _) => AgentMode.Degraded,
            (false, false, false, _) => AgentMode.Exhausted,
        };
    }

    private static UtcTime? StatedUsableUntil(ModeFacts facts, UtcTime now)
    {
        if (Stated(facts, now) is AgentMode.Locked or AgentMode.Exhausted)
        {
            return null;
        }

        // The first moment from now on at which no validation succeeds.
        UtcTime end = facts.EffectiveEnd!.Value;
        return !facts.DegradedAllowed && facts.ValidUntil!.Value < end ? facts.ValidUntil : end;
    }
}
