using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>A till whose TPM is lost and whose configuration lets software keys take its place.</summary>
public sealed class SoftwareFallbackTests
{
    private const string Key = "software-key-1";

    private static readonly CoreSettings OnLoss = Given.Settings with { FallbackOnLoss = true };
    private static readonly AgentEvent Lost = new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone");

    [Fact]
    public void Off_a_till_that_lost_its_TPM_at_start_opens_no_software_keys()
    {
        CoreDriver till = LostAtStart(Given.Settings);
        Assert.Equal(LockReason.TpmUnavailable, Views.Facts(till.State).Lock);
        Assert.Empty(till.AllEffects.OfType<AgentEffect.OpenSoftware>());
    }

    [Fact]
    public void On_a_till_that_lost_its_TPM_at_start_opens_them_and_reports()
    {
        CoreDriver till = Opened(LostAtStart(OnLoss));
        RequestPlan.CheckIn plan = till.Plan<RequestPlan.CheckIn>();
        Assert.Equal((true, TpmReports.Unavailable, "LOCKED"), (plan.Software, plan.Tpm, plan.Mode));
    }

    [Theory]
    [InlineData(TpmHealth.Unavailable)]
    [InlineData(TpmHealth.Lockout)]
    [InlineData(TpmHealth.Replaced)]
    public void Each_loss_counts(TpmHealth health)
    {
        CoreDriver till = new(OnLoss);
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.TpmFailed(health, "gone"));
        till.Under<Activity.OpeningSoftware>();
    }

    [Fact]
    public void Refused_it_stays_LOCKED_with_an_alert_and_nothing_weaker()
    {
        CoreDriver till = Opened(LostAtStart(OnLoss)).Refuse(ServerErrors.DowngradeRefused);
        Assert.Equal(LockReason.TpmUnavailable, Views.Facts(till.State).Lock);
        Assert.True(till.State.Alerts.ContainsKey("downgrade_refused"));
        Assert.Empty(Views.Usable(till.State));
    }

    [Fact]
    public void Approved_it_rotates_in_software_and_serves()
    {
        CoreDriver till = InSoftware(8);
        Assert.Equal(AgentMode.Normal, till.Mode);
        Assert.Equal((8, true), (Views.Usable(till.State)[^1].Entry.Version, Views.Usable(till.State)[^1].IsSoftware));
        Assert.True(till.State.Alerts.ContainsKey("software_fallback"));
    }

    [Fact]
    public void The_rotation_says_that_the_TPM_is_lost_and_what_was_seen()
    {
        CoreDriver till = Opened(LostAtStart(OnLoss));
        till.Answer(Given.CheckedIn(till.Real));
        RequestPlan.Prepare plan = till.Plan<RequestPlan.Prepare>();
        Assert.Equal(
            (true, RotationReasons.TpmLost, 0, 7),
            (plan.Software, plan.Intent.Reason, plan.Intent.Current, plan.Highest));
    }

    [Fact]
    public void Each_stage_is_durable_before_the_next()
    {
        CoreDriver till = Opened(LostAtStart(OnLoss));
        till.Answer(Given.CheckedIn(till.Real));
        Assert.NotNull(Assert.Single(till.Did<AgentEffect.SaveSoftware>()).Book.Intent);
        till.Answer(Given.Prepared(8, till.Real));
        Assert.Equal(8, Assert.Single(till.Did<AgentEffect.SaveRun>()).Run.Highest);
        Assert.True(Assert.Single(till.Did<AgentEffect.StageSecret>()).Software);
        till.Staged(8);
        Assert.True(till.Did<AgentEffect.SaveSoftware>()[^1].Book.Pending!.ConfirmSent);
        till.Answer(Given.Confirmed(8, till.Real));
        Assert.Equal(8, till.Did<AgentEffect.SaveSoftware>()[^1].Book.Active!.Version);
    }

    [Fact]
    public void A_version_below_what_was_seen_is_not_taken()
    {
        CoreDriver till = Opened(LostAtStart(OnLoss));
        till.Answer(Given.CheckedIn(till.Real)).Answer(Given.Prepared(6, till.Real));
        Assert.Empty(till.Did<AgentEffect.StageSecret>());
        Assert.Contains("version_refused", till.Audited);
    }

    [Fact]
    public void A_till_that_still_serves_from_memory_waits_a_day()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(7)), settings: OnLoss);
        Prepare(till);
        till.Step(new AgentEvent.CheckpointWanted()).Step(Lost);
        till.Pass(TimeSpan.FromHours(20));
        Assert.Null(till.Tick().State.Software);
        while (till.State.Activity is Activity.Probing)
        {
            till.Step(Lost);
        }

        Assert.NotEqual(new Activity.OpeningSoftware(), till.State.Activity);
        till.Pass(TimeSpan.FromHours(5));
        till.Tick();
        if (till.State.Activity is Activity.Probing)
        {
            till.Step(Lost);
        }

        till.Under<Activity.OpeningSoftware>();
    }

    [Fact]
    public void An_operator_who_rotates_does_not_wait()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(7)), settings: OnLoss);
        Prepare(till);
        till.Step(new AgentEvent.CheckpointWanted()).Step(Lost);
        till.Step(new AgentEvent.RotateAsked(5));
        till.Under<Activity.OpeningSoftware>();
    }

    [Fact]
    public void Lost_while_running_what_is_in_memory_serves_beside_the_new_version()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(7)), settings: OnLoss);
        Prepare(till);
        till.Step(new AgentEvent.CheckpointWanted()).Step(Lost).Step(new AgentEvent.RotateAsked(5));
        Opened(till);
        Rotate(till, 8, 7);
        Assert.Equal([7, 8], Views.Usable(till.State).Select(u => u.Entry.Version));
        Assert.Equal(7, till.State.Bound!.Active!.Version);
    }

    [Fact]
    public void Without_its_key_file_it_gets_nothing_and_says_why()
    {
        CoreDriver till = LostAtStart(OnLoss).Step(new AgentEvent.SoftwareFailed("no key file"));
        Assert.Equal(AgentMode.Locked, till.Mode);
        Assert.Contains("no key file", till.State.Alerts["fallback_unusable"].Detail, StringComparison.Ordinal);
        Assert.IsNotType<Activity.Exchanging>(till.State.Activity);
    }

    [Fact]
    public void The_next_answer_to_the_TPM_ends_it()
    {
        CoreDriver till = BackFrom(InSoftware(8));
        Assert.False(till.Plan<RequestPlan.CheckIn>().Software);
        till.Answer(Given.CheckedIn(till.Real) with { Fallback = "" });
        AgentEffect.EraseSoftware erased = Assert.Single(till.Did<AgentEffect.EraseSoftware>());
        Assert.Equal([8], erased.Versions);
        Assert.True(erased.Whole);
        Assert.DoesNotContain(Views.Usable(till.State), u => u.IsSoftware);
    }

    [Fact]
    public void Until_that_answer_the_software_version_goes_on_serving()
    {
        CoreDriver till = BackFrom(InSoftware(8));
        till.LoseContact();
        Assert.Contains(Views.Usable(till.State), u => u is { IsSoftware: true, Entry.Version: 8 });
    }

    [Fact]
    public void After_it_another_key_is_made_and_registered()
    {
        CoreDriver till = BackFrom(InSoftware(8));
        till.Answer(Given.CheckedIn(till.Real) with { Fallback = "" });
        for (int i = 0; i < 20 && till.State.Activity is not Activity.OpeningSoftware; i++)
        {
            Dully(till, "");
        }

        Assert.True(till.Did<AgentEffect.OpenSoftware>().Single().Anew);
        till.Step(new AgentEvent.SoftwareOpened(
            Given.Identity, Given.Keyset, till.Run, SoftwareBook.Empty, "software-key-2", []));
        Assert.True(till.Plan<RequestPlan.CheckIn>().RegistersFallback);
    }

    [Fact]
    public void A_key_the_server_has_is_not_sent_again()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(7)), settings: OnLoss);
        Prepare(till);
        till.Pass(TimeSpan.FromHours(1));
        till.Tick();
        till.SettleUntil<RequestPlan.CheckIn>();
        till.Answer(Given.CheckedIn(till.Real) with { Fallback = Key });
        till.Pass(TimeSpan.FromHours(1));
        till.Tick();
        Assert.False(till.SettleUntil<RequestPlan.CheckIn>().RegistersFallback);
    }

    [Fact]
    public void A_server_that_knows_no_software_keys_is_sent_none()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(7)), settings: OnLoss);
        Prepare(till);
        till.Pass(TimeSpan.FromHours(1));
        till.Tick();
        Assert.False(till.SettleUntil<RequestPlan.CheckIn>().RegistersFallback);
    }

    [Fact]
    public void A_suspended_till_does_not_rotate_in_software_either()
    {
        CoreDriver till = Opened(LostAtStart(OnLoss));
        till.Answer(Given.CheckedIn(till.Real, [new SuspendDirective()]));
        Assert.IsNotType<Activity.Exchanging>(till.State.Activity);
        Assert.Empty(Views.Usable(till.State));
    }

    [Fact]
    public void An_order_takes_a_software_version_out_of_use()
    {
        CoreDriver till = InSoftware(8);
        till.Pass(TimeSpan.FromHours(1));
        till.Tick();
        while (till.State.Activity is not Activity.Exchanging)
        {
            Dully(till, Key);
        }

        till.Answer(Given.CheckedIn(till.Real, [new InvalidateBelowDirective(9)]));
        Assert.Empty(Views.Usable(till.State));
        Assert.Contains(till.Did<AgentEffect.EraseSoftware>(), e => e.Versions.Contains(8));
    }

    private static CoreDriver LostAtStart(CoreSettings settings)
    {
        CoreDriver till = new(settings);
        return till.Step(new AgentEvent.Started()).Step(Lost);
    }

    private static CoreDriver Opened(CoreDriver till)
    {
        if (till.State.Activity is Activity.Probing)
        {
            till.Step(Lost);
        }

        till.Under<Activity.OpeningSoftware>();
        RunState run = Given.Run(Given.Bound(Given.Active(7)));
        return till.Step(new AgentEvent.SoftwareOpened(
            Given.Identity, Given.Keyset, run, SoftwareBook.Empty, Key, []));
    }

    private static CoreDriver InSoftware(long version)
    {
        CoreDriver till = Opened(LostAtStart(OnLoss));
        Rotate(till, version, 0);
        return till;
    }

    private static void Rotate(CoreDriver till, long version, long before)
    {
        till.Answer(Given.CheckedIn(till.Real));
        Assert.Equal(before, till.Plan<RequestPlan.Prepare>().Intent.Current);
        till.Answer(Given.Prepared(version, till.Real)).Staged(version);
        till.Answer(Given.Confirmed(version, till.Real));
    }

    /// <summary>The keys for a loss are there, as after a start with a working TPM.</summary>
    private static void Prepare(CoreDriver till)
    {
        if (till.State.Activity is Activity.OpeningSoftware)
        {
            till.Step(new AgentEvent.SoftwareOpened(
                Given.Identity, Given.Keyset, till.Run, SoftwareBook.Empty, Key, []));
        }

        till.Settle();
        Assert.Equal(Key, till.State.FallbackKey);
    }

    /// <summary>The TPM answers again, and the bound state is read; the next request is its.</summary>
    private static CoreDriver BackFrom(CoreDriver till)
    {
        for (int i = 0; i < 20 && till.State.Activity is not Activity.Probing; i++)
        {
            if (till.State.Activity is Activity.Exchanging)
            {
                till.Answer(Given.CheckedIn(till.Real) with { Fallback = Key });
            }
            else
            {
                till.After(TimeSpan.FromSeconds(30));
            }
        }

        till.Step(new AgentEvent.TpmReturned());
        BoundState bound = Given.Bound(Given.Active(7));
        till.Step(new AgentEvent.StateLoaded(Given.Identity, bound, till.Run));
        while (till.State.Activity is Activity.LoadingSecrets loading)
        {
            till.Step(new AgentEvent.SecretsLoaded([.. loading.Entries.Select(e => e.Version)], []));
        }

        return till;
    }

    private static void Dully(CoreDriver till, string registered)
    {
        switch (till.State.Activity)
        {
            case Activity.Exchanging { Plan: RequestPlan.CheckIn }:
                till.Answer(Given.CheckedIn(till.Real) with { Fallback = registered });
                break;
            case Activity.Exchanging:
                till.LoseContact();
                break;
            case Activity.Probing:
                till.Step(Lost);
                break;
            case Activity.Anchoring:
                till.Step(new AgentEvent.Anchored());
                break;
            case Activity.Committing:
                till.Commit();
                break;
            default:
                till.After(TimeSpan.FromSeconds(30));
                break;
        }
    }
}
