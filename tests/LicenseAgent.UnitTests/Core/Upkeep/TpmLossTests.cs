using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>The TPM goes away in every activity, and comes back.</summary>
public sealed class TpmLossTests
{
    private static readonly AgentEvent Lost = new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone");

    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    public static TheoryData<TpmHealth, string> Reports() => new()
    {
        { TpmHealth.Unavailable, TpmReports.Unavailable },
        { TpmHealth.Lockout, TpmReports.Lockout },
        { TpmHealth.Replaced, TpmReports.Replaced },
    };

    public static TheoryData<string> ActivitiesWithIdentity() =>
        [.. EventTable.Activities.Where(a => a is not ("Idle" or "Loading" or "Enrolling"))];

    [Theory]
    [MemberData(nameof(ActivitiesWithIdentity))]
    public void Secrets_in_memory_go_on_serving(string activity)
    {
        AgentState before = EventTable.StateIn(activity);
        AgentState after = AgentCore.Step(before, Lost, Now).State;
        Assert.Equal(AgentMode.Normal, Views.Mode(after, after.Clock.At(Now.BootMs)));
        Assert.Equal(
            Views.Usable(before).Select(u => u.Entry.Version), Views.Usable(after).Select(u => u.Entry.Version));
    }

    [Theory]
    [MemberData(nameof(ActivitiesWithIdentity))]
    public void The_TPM_is_probed_within_thirty_seconds_and_nothing_else_is_begun(string activity)
    {
        AgentState state = AgentCore.Step(EventTable.StateIn(activity), Lost, Now).State;
        for (long ms = 0; state.Activity is Activity.Idle; ms += 1_000)
        {
            Assert.InRange(ms, 0, 30_000);
            state = AgentCore.Step(state, new AgentEvent.Ticked(), Now with { BootMs = Now.BootMs + ms }).State;
        }

        Assert.IsType<Activity.Probing>(state.Activity);
    }

    [Fact]
    public void A_generation_that_was_being_written_is_the_first_thing_after_its_return()
    {
        _till.CheckIn(new SuspendDirective());
        BoundState next = _till.Under<Activity.Committing>().Next;
        ComeBack();
        Assert.Same(next, _till.Under<Activity.Committing>().Next);
    }

    [Fact]
    public void A_rotation_that_was_being_staged_goes_on_under_the_same_request_id()
    {
        string first = _till.ToPrepare().RequestId;
        _till.Answer(Given.Prepared(2, _till.Real));
        ComeBack();
        Assert.Equal(first, _till.Plan<RequestPlan.Prepare>().RequestId);
    }

    [Fact]
    public void A_confirm_that_was_being_signed_goes_on_under_the_same_request_id()
    {
        _till.ToConfirm(2);
        string first = _till.Plan<RequestPlan.Confirm>().RequestId;
        ComeBack();
        Assert.Equal(first, _till.Plan<RequestPlan.Confirm>().RequestId);
    }

    [Fact]
    public void Its_return_is_followed_by_an_immediate_check_in()
    {
        _till.Step(new AgentEvent.CheckpointWanted());
        ComeBack();
        _till.Plan<RequestPlan.CheckIn>();
    }

    [Fact]
    public void Secrets_that_were_being_read_are_read_again()
    {
        CoreDriver till = new();
        till.Load(Given.Bound(Given.Active(1)));
        till.Step(Lost);
        Assert.Equal(LockReason.TpmUnavailable, Views.Facts(till.State).Lock);
        till.After(TimeSpan.FromSeconds(30)).Step(new AgentEvent.TpmReturned());
        Assert.Equal([1], till.Under<Activity.LoadingSecrets>().Entries.Select(e => e.Version));
    }

    [Theory]
    [InlineData(TpmHealth.Unavailable, LockReason.TpmUnavailable)]
    [InlineData(TpmHealth.Replaced, LockReason.TpmReplaced)]
    public void Lost_at_start_it_is_LOCKED_and_the_state_is_read_when_it_is_back(TpmHealth health, LockReason reason)
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.TpmFailed(health, "gone"));
        Assert.Equal((AgentMode.Locked, reason), (till.Mode, Views.Facts(till.State).Lock));
        till.After(TimeSpan.FromSeconds(30)).Step(new AgentEvent.TpmReturned());
        till.Under<Activity.Loading>();
    }

    [Fact]
    public void I15_silent_at_start_and_then_another_it_is_said_to_be_another_and_not_waited_for_for_ever()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.TpmFailed(TpmHealth.Lockout, "in lockout"));
        till.After(TimeSpan.FromSeconds(30)).Step(new AgentEvent.TpmFailed(TpmHealth.Replaced, "another SRK"));
        Assert.Equal(LockReason.TpmReplaced, Views.Facts(till.State).Lock);
        Assert.Equal(2, till.AllEffects.OfType<AgentEffect.Audit>().Count(a => a.Event == "tpm_lost"));
        till.After(TimeSpan.FromSeconds(30)).Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        Assert.Equal(LockReason.TpmUnavailable, Views.Facts(till.State).Lock);
    }

    [Fact]
    public void Silent_before_its_secrets_were_read_and_then_another_it_is_said_to_be_another()
    {
        CoreDriver till = new();
        till.Load(Given.Bound(Given.Active(1)));
        till.Step(Lost).After(TimeSpan.FromSeconds(30)).Step(new AgentEvent.TpmFailed(TpmHealth.Replaced, "another SRK"));
        Assert.Equal(LockReason.TpmReplaced, Views.Facts(till.State).Lock);
    }

    [Fact]
    public void Who_waits_for_a_rotation_is_told_at_once()
    {
        _till.Step(new AgentEvent.CheckpointWanted());
        _till.Step(new AgentEvent.RotateAsked(5)).Step(Lost);
        Assert.Equal("tpm_unavailable", Assert.Single(_till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
        _till.Step(new AgentEvent.RotateAsked(6));
        Assert.Equal("tpm_unavailable", Assert.Single(_till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
    }

    [Theory]
    [InlineData(TpmHealth.Unavailable, "tpm_unavailable")]
    [InlineData(TpmHealth.Lockout, "tpm_unavailable")]
    [InlineData(TpmHealth.Replaced, "tpm_replaced")]
    public void Lost_at_start_a_rotation_is_refused_for_that_and_not_for_want_of_an_enrolment(
        TpmHealth health, string reason)
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.TpmFailed(health, "gone"));
        till.Step(new AgentEvent.RotateAsked(5));
        Assert.Equal(reason, Assert.Single(till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
    }

    [Theory]
    [MemberData(nameof(Reports))]
    public void The_check_in_after_it_names_what_the_TPM_was(TpmHealth health, string report)
    {
        AgentState state = _till.State with { Tpm = health };
        Assert.Equal(report, Views.TpmReport(state));
    }

    [Fact]
    public void Lost_during_enrolment_the_operator_is_told()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.FoundNotEnrolled());
        till.Step(new AgentEvent.EnrollAsked(3)).Step(Lost);
        AgentEffect.CompleteEnroll told = Assert.Single(till.Did<AgentEffect.CompleteEnroll>());
        Assert.Equal((3, "tpm_unavailable"), (told.Ticket, told.RefusedBecause));
    }

    [Fact]
    public void Lost_before_the_first_generation_of_an_enrolment_it_is_probed_and_the_generation_written()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.FoundNotEnrolled());
        till.Step(new AgentEvent.EnrollAsked(3));
        till.Step(new AgentEvent.Enrolled(Given.Identity, Given.Keyset, 0, 5, till.Real, till.BootMs));
        till.Step(Lost).After(TimeSpan.FromSeconds(30)).Step(new AgentEvent.TpmReturned());
        Assert.Equal(6, till.Under<Activity.Committing>().Next.Generation);
    }

    [Fact]
    public void A_TPM_that_comes_and_goes_is_probed_ever_more_seldom()
    {
        _till.Step(new AgentEvent.CheckpointWanted()).Step(Lost);
        for (int i = 2; i < 8; i++)
        {
            _till.After(TimeSpan.FromSeconds(30)).Step(Lost);
            Assert.Equal(i, _till.State.TpmGate.Failures);
        }
    }

    private static Now Now => new("boot-1", CoreDriver.FirstBootMs, CoreDriver.FirstBootMs, Given.Start, 12345);

    private void ComeBack() =>
        _till.Step(Lost).After(TimeSpan.FromSeconds(30)).Step(new AgentEvent.TpmReturned());
}
