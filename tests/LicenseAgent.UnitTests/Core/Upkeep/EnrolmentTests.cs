using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>From a till without identity to its first secret, over refusals, losses and restarts.</summary>
public sealed class EnrolmentTests
{
    private readonly CoreDriver _till = new();

    public EnrolmentTests() => _till.Step(new AgentEvent.Started()).Step(new AgentEvent.FoundNotEnrolled());

    [Fact]
    public void A_till_without_identity_is_LOCKED_and_says_so()
    {
        Assert.Equal((AgentMode.Locked, LockReason.NotEnrolled), (_till.Mode, Views.Facts(_till.State).Lock));
        Assert.IsType<Activity.Idle>(_till.State.Activity);
    }

    [Fact]
    public void Enrolment_writes_the_first_generation_above_the_counter()
    {
        Enrol(counter: 5, highest: 0);
        BoundState next = _till.Under<Activity.Committing>().Next;
        Assert.Equal((6, Given.Keyset), (next.Generation, next.Keyset));
        Assert.Empty(next.Secrets);
    }

    [Fact]
    public void The_operator_is_told_when_the_till_is_enrolled()
    {
        Enrol(counter: 5, highest: 0);
        AgentEffect.CompleteEnroll told = Assert.Single(_till.Did<AgentEffect.CompleteEnroll>());
        Assert.Equal((3, null), (told.Ticket, told.RefusedBecause));
    }

    [Fact]
    public void The_first_rotation_follows_at_once()
    {
        Enrol(counter: 5, highest: 0);
        _till.Settle();
        RequestPlan.Prepare plan = _till.Plan<RequestPlan.Prepare>();
        Assert.Equal((0, "", 0, RotationReasons.Scheduled),
            (plan.Intent.Current, plan.Intent.Kcv, plan.Highest, plan.Intent.Reason));
        _till.Answer(Given.Prepared(1, _till.Real)).Staged(1);
        _till.Answer(Given.Confirmed(1, _till.Real)).Commit();
        Assert.Equal(AgentMode.Normal, _till.Mode);
    }

    [Theory]
    [InlineData(7, false)]
    [InlineData(8, true)]
    public void Nothing_at_or_below_the_highest_of_the_answer_is_ever_taken(long version, bool taken)
    {
        Enrol(counter: 5, highest: 7);
        _till.Settle();
        Assert.Equal(7, _till.Plan<RequestPlan.Prepare>().Highest);
        _till.Answer(Given.Prepared(version, _till.Real));
        Assert.Equal(taken, _till.State.Activity is Activity.Staging);
    }

    [Fact]
    public void The_highest_of_the_answer_is_bound()
    {
        Enrol(counter: 5, highest: 7);
        BoundState next = _till.Under<Activity.Committing>().Next;
        Assert.Equal((7, 8), (next.HighestVersionSeen, next.MinValidVersion));
    }

    [Fact]
    public void An_enrolment_that_cannot_go_on_leaves_the_till_as_it_was()
    {
        _till.Step(new AgentEvent.EnrollAsked(3));
        _till.Step(new AgentEvent.EnrollmentFailed("refused", "token used", Resumable: false));
        AgentEffect.CompleteEnroll told = Assert.Single(_till.Did<AgentEffect.CompleteEnroll>());
        Assert.Equal((3, "refused", "token used"), (told.Ticket, told.RefusedBecause, told.Detail));
        _till.After(TimeSpan.FromHours(1));
        Assert.IsType<Activity.Idle>(_till.State.Activity);
    }

    [Fact]
    public void An_enrolment_that_was_begun_goes_on_by_itself_with_back_off()
    {
        _till.Step(new AgentEvent.EnrollAsked(3));
        for (int i = 1; i < 6; i++)
        {
            _till.Step(new AgentEvent.EnrollmentFailed("no_contact", "timeout", Resumable: true));
            Assert.Equal(i, _till.State.RotationGate.Failures);
            while (_till.State.Activity is not Activity.Enrolling)
            {
                _till.After(TimeSpan.FromMilliseconds(
                    AgentCore.NextWakeBootMs(_till.State, _till.Now) - _till.BootMs));
            }

            Assert.Null(_till.Did<AgentEffect.Enroll>().Single().Ticket);
        }
    }

    [Fact]
    public void An_enrolment_that_was_begun_goes_on_after_a_restart()
    {
        CoreDriver restarted = new();
        restarted.Step(new AgentEvent.Started()).Step(new AgentEvent.FoundEnrolling(Given.AgentId));
        restarted.Under<Activity.Enrolling>();
    }

    [Fact]
    public void An_enrolment_that_was_answered_before_a_restart_writes_its_generation_then()
    {
        CoreDriver restarted = new() { BootId = "boot-2", BootMs = 3_000 };
        restarted.Step(new AgentEvent.Started());
        restarted.Step(new AgentEvent.Enrolled(
            Given.Identity, Given.Keyset, 0, 5, Given.Start, SentBootMs: 900));
        Assert.Equal(6, restarted.Under<Activity.Committing>().Next.Generation);
        Assert.Equal(Given.Start, restarted.TrustedNow);
    }

    [Fact]
    public void A_second_enrolment_is_refused()
    {
        Enrol(counter: 5, highest: 0);
        _till.Settle();
        Assert.Equal("already_enrolled", Ask());
    }

    [Fact]
    public void While_one_is_under_way_another_is_refused()
    {
        _till.Step(new AgentEvent.EnrollAsked(3));
        Assert.Equal("busy", Ask());
        _till.Step(new AgentEvent.EnrollmentFailed("no_contact", "timeout", Resumable: true));
        Assert.Equal("enrolment_under_way", Ask());
    }

    [Fact]
    public void Before_the_state_was_read_an_enrolment_is_refused()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.LoadFailed("EIO"));
        till.Step(new AgentEvent.EnrollAsked(9));
        Assert.Equal("not_ready", Assert.Single(till.Did<AgentEffect.CompleteEnroll>()).RefusedBecause);
    }

    [Fact]
    public void A_till_that_is_not_enrolled_neither_rotates_nor_checks_in()
    {
        _till.Step(new AgentEvent.RotateAsked(1));
        Assert.Equal("not_enrolled", Assert.Single(_till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
        _till.After(TimeSpan.FromDays(2));
        Assert.IsType<Activity.Idle>(_till.State.Activity);
    }

    [Fact]
    public void A_first_generation_that_fails_is_written_again()
    {
        Enrol(counter: 5, highest: 0);
        _till.Step(new AgentEvent.GenerationFailed("EIO", Contradiction: false));
        _till.After(TimeSpan.FromSeconds(5)).Step(new AgentEvent.Anchored());
        Assert.Equal(6, _till.Under<Activity.Committing>().Next.Generation);
    }

    [Fact]
    public void A_till_whose_TPM_works_is_replaced_only_when_the_operator_insists()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(2)));
        till.Step(new AgentEvent.EnrollAsked(3, Replace: true));
        Assert.Equal("tpm_works", Assert.Single(till.Did<AgentEffect.CompleteEnroll>()).RefusedBecause);
        till.Step(new AgentEvent.EnrollAsked(4, Replace: true, Force: true));
        Assert.Equal(4, till.Under<Activity.Enrolling>().Ticket);
    }

    [Fact]
    public void A_till_that_is_LOCKED_over_another_TPM_is_replaced_when_asked()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.TpmFailed(TpmHealth.Replaced, "another"));
        till.Step(new AgentEvent.EnrollAsked(3, Replace: true));
        till.Under<Activity.Enrolling>();
    }

    [Fact]
    public void A_replacement_erases_what_the_till_held_and_its_numbers_never_go_down()
    {
        CoreDriver till = Replacing();
        till.Step(new AgentEvent.Enrolled(Given.Identity, Given.Keyset, 0, 40, till.Real, till.BootMs));
        BoundState next = till.Under<Activity.Committing>().Next;
        Assert.Equal([1, 2], till.Did<AgentEffect.EraseSecret>().Select(e => e.Version));
        Assert.Equal((41, 2, 0), (next.Generation, next.HighestVersionSeen, next.Secrets.Length));
        Assert.Empty(Views.Usable(till.State));
    }

    [Fact]
    public void A_replacement_that_changed_nothing_leaves_the_till_as_it_was()
    {
        CoreDriver till = Replacing();
        till.Step(new AgentEvent.EnrollmentFailed("no_contact", "timeout", Resumable: false));
        Assert.Equal(AgentMode.Normal, till.Mode);
    }

    [Fact]
    public void A_replacement_that_lost_the_old_keys_goes_on_as_an_enrolment()
    {
        CoreDriver till = Replacing();
        till.Step(new AgentEvent.EnrollmentFailed("no_contact", "timeout", Resumable: true, Begun: true));
        Assert.Equal(LockReason.NotEnrolled, Views.Facts(till.State).Lock);
        till.After(TimeSpan.FromMinutes(5));
        Assert.Null(till.Under<Activity.Enrolling>().Ticket);
    }

    [Fact]
    public void A_damaged_identity_is_LOCKED_said_in_log_and_alert_and_tried_no_further()
    {
        CoreDriver till = Damaged(LockReason.IdentityDamaged);
        Assert.Equal((AgentMode.Locked, LockReason.IdentityDamaged), (till.Mode, Views.Facts(till.State).Lock));
        Assert.Contains("enroll --replace", till.State.Alerts["identity_damaged"].Detail, StringComparison.Ordinal);
        Assert.Contains(till.AllEffects, e => e is AgentEffect.Audit { Event: "identity_damaged" });
        till.After(TimeSpan.FromHours(1));
        Assert.IsType<Activity.Idle>(till.State.Activity);
        Assert.DoesNotContain(till.AllEffects, e => e is AgentEffect.SaveRun);
    }

    [Fact]
    public void A_damaged_certificate_is_LOCKED_said_once_and_looked_for_again()
    {
        CoreDriver till = Damaged(LockReason.CertificateDamaged);
        Assert.Contains("enroll --replace", till.State.Alerts["certificate_damaged"].Detail, StringComparison.Ordinal);
        till.After(TimeSpan.FromMinutes(10));
        till.Under<Activity.Loading>();
        till.Step(new AgentEvent.FoundIdentityDamaged(LockReason.CertificateDamaged));
        Assert.Single(till.AllEffects, e => e is AgentEffect.Audit { Event: "certificate_damaged" });
        till.After(TimeSpan.FromMinutes(10));
        till.Under<Activity.Loading>();
        till.Step(new AgentEvent.StateLoaded(
            Given.Identity, Given.Bound(Given.Active(1)), Given.Run(Given.Bound(Given.Active(1)))));
        Assert.DoesNotContain("certificate_damaged", till.State.Alerts.Keys);
    }

    [Theory]
    [InlineData(LockReason.IdentityDamaged)]
    [InlineData(LockReason.CertificateDamaged)]
    public void A_damaged_identity_gives_way_to_a_replacement_and_to_nothing_else(LockReason reason)
    {
        CoreDriver till = Damaged(reason);
        till.Step(new AgentEvent.EnrollAsked(3));
        Assert.Equal(ModeText.Of(reason), Assert.Single(till.Did<AgentEffect.CompleteEnroll>()).RefusedBecause);
        till.Step(new AgentEvent.EnrollAsked(4, Replace: true));
        Assert.Equal(4, till.Under<Activity.Enrolling>().Ticket);
        till.Step(new AgentEvent.Enrolled(Given.Identity, Given.Keyset, 7, 5, till.Real, till.BootMs));
        till.Settle();
        Assert.DoesNotContain(ModeText.Of(reason), till.State.Alerts.Keys);
        Assert.Equal(7, till.Plan<RequestPlan.Prepare>().Highest);
    }

    private static CoreDriver Damaged(LockReason reason)
    {
        CoreDriver till = new();
        return till.Step(new AgentEvent.Started()).Step(new AgentEvent.FoundIdentityDamaged(reason));
    }

    private static CoreDriver Replacing()
    {
        CoreDriver till = CoreDriver.Enrolled(
            Given.Bound(Given.Grace(1, Given.Start + TimeSpan.FromDays(3)), Given.Active(2)));
        return till.Step(new AgentEvent.EnrollAsked(4, Replace: true, Force: true));
    }

    private void Enrol(long counter, long highest)
    {
        _till.Step(new AgentEvent.EnrollAsked(3));
        _till.Step(new AgentEvent.Enrolled(
            Given.Identity, Given.Keyset, highest, counter, _till.Real, _till.BootMs));
    }

    private string? Ask()
    {
        _till.Step(new AgentEvent.EnrollAsked(9));
        return Assert.Single(_till.Did<AgentEffect.CompleteEnroll>()).RefusedBecause;
    }
}
