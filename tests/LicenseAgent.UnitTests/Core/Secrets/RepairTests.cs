using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>Repair of a lost, damaged or rolled-back state: by the server's word, and never with an older version.</summary>
public sealed class RepairTests
{
    public static TheoryData<LockReason> StateLocks() => new(LockReason.StateRollback, LockReason.StateCorrupt);

    [Theory]
    [MemberData(nameof(StateLocks))]
    public void A_state_that_is_not_this_TPMs_is_LOCKED_with_the_reason(LockReason reason)
    {
        CoreDriver till = Lost(reason);
        Assert.Equal((AgentMode.Locked, reason), (till.Mode, Views.Facts(till.State).ReasonWhenLocked));
        Assert.Contains(ModeText.Of(reason), till.State.Alerts.Keys);
    }

    [Theory]
    [MemberData(nameof(StateLocks))]
    public void The_repair_begins_with_a_check_in_that_names_the_reason(LockReason reason)
    {
        RequestPlan.CheckIn plan = Lost(reason).Plan<RequestPlan.CheckIn>();
        Assert.Equal(("LOCKED", ModeText.Of(reason), 0), (plan.Mode, plan.LockReason, plan.ActiveVersion));
        Assert.Empty(plan.HeldVersions);
    }

    [Fact]
    public void No_recovery_is_asked_for_before_the_check_in_is_answered()
    {
        CoreDriver till = Lost(LockReason.StateRollback);
        till.LoseContactUntil(till.Real + TimeSpan.FromMinutes(30));
        Assert.DoesNotContain(till.AllEffects, e => e is AgentEffect.Send { Plan: RequestPlan.Prepare });
    }

    [Fact]
    public void Recovery_names_no_current_and_the_highest_of_run_state_and_slot()
    {
        RequestPlan.Prepare plan = ToRecovery(Lost(LockReason.StateRollback, slotHighest: 9, runHighest: 8));
        Assert.Equal(
            (RotationReasons.Recovery, 0, "", 9),
            (plan.Intent.Reason, plan.Intent.Current, plan.Intent.Kcv, plan.Highest));
    }

    [Fact]
    public void The_server_may_answer_the_highest_again()
    {
        CoreDriver till = Lost(LockReason.StateRollback, slotHighest: 9);
        ToRecovery(till);
        till.Answer(Given.Prepared(9, till.Real));
        till.Under<Activity.Staging>();
    }

    [Fact]
    public void A_version_below_the_highest_is_not_taken_even_for_a_repair()
    {
        CoreDriver till = Lost(LockReason.StateRollback, slotHighest: 9);
        ToRecovery(till);
        till.Answer(Given.Prepared(8, till.Real));
        Assert.IsNotType<Activity.Staging>(till.State.Activity);
        Assert.Equal(AgentMode.Locked, till.Mode);
    }

    [Fact]
    public void The_commit_writes_the_generation_above_the_counter_and_opens()
    {
        CoreDriver till = Lost(LockReason.StateRollback, slotHighest: 9);
        Repair(till, 9);
        Assert.Equal(41, till.State.Bound!.Generation);
        Assert.Equal(Given.Keyset, till.State.Bound.Keyset);
        Assert.Equal(AgentMode.Normal, till.Mode);
    }

    [Fact]
    public void Versions_the_server_lists_are_kept_where_their_files_verify()
    {
        CoreDriver till = Lost(LockReason.StateCorrupt, slotHighest: 9);
        ToRecovery(till);
        till.Answer(Given.Prepared(9, till.Real)).Staged(9);
        UtcTime week = till.Real + TimeSpan.FromDays(7);
        till.Answer(Given.Confirmed(9, till.Real, 0, new PreviousVersion(7, week), new PreviousVersion(8, week)));
        Assert.Equal([8, 7], till.Did<AgentEffect.LoadPrevious>().Single().Versions.Select(v => v.Version));
        till.Step(new AgentEvent.PreviousLoaded([Given.Grace(8, week)])).Commit();
        Assert.Equal([8, 9], till.State.Bound!.Secrets.Select(s => s.Version));
        Assert.Equal([8, 9], Views.Usable(till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void A_disk_that_does_not_give_earlier_versions_costs_a_try_and_the_confirm_is_repeated()
    {
        CoreDriver till = Lost(LockReason.StateCorrupt, slotHighest: 9);
        ToRecovery(till);
        till.Answer(Given.Prepared(9, till.Real)).Staged(9);
        UtcTime week = till.Real + TimeSpan.FromDays(7);
        ConfirmRotationAnswer confirmed = Given.Confirmed(9, till.Real, 0, new PreviousVersion(8, week));
        till.Answer(confirmed);
        till.Step(new AgentEvent.PreviousFailed("io_error"));
        Assert.Equal(9, till.State.Run.Pending!.Entry.Version);
        Assert.Null(till.State.Bound);

        till.SettleUntil<RequestPlan.Confirm>();
        till.Answer(confirmed).Step(new AgentEvent.PreviousLoaded([Given.Grace(8, week)])).Commit();
        Assert.Equal([8, 9], till.State.Bound!.Secrets.Select(s => s.Version));
    }

    [Fact]
    public void Of_more_previous_versions_than_GRACE_holds_the_newest_are_looked_for()
    {
        CoreDriver till = Lost(LockReason.StateCorrupt, slotHighest: 30);
        ToRecovery(till);
        till.Answer(Given.Prepared(30, till.Real)).Staged(30);
        UtcTime week = till.Real + TimeSpan.FromDays(7);
        PreviousVersion[] all = [.. Enumerable.Range(1, 20).Select(v => new PreviousVersion(v, week))];
        till.Answer(Given.Confirmed(30, till.Real, 0, all));
        ImmutableArray<PreviousVersion> asked = till.Did<AgentEffect.LoadPrevious>().Single().Versions;
        Assert.Equal((16, 5, 20), (asked.Length, asked.Min(v => v.Version), asked.Max(v => v.Version)));
    }

    [Fact]
    public void A_restart_between_staging_and_commit_of_a_repair_confirms_what_is_staged()
    {
        CoreDriver till = Lost(LockReason.StateRollback, slotHighest: 9);
        ToRecovery(till);
        till.Answer(Given.Prepared(9, till.Real)).Staged(9);
        string first = till.Plan<RequestPlan.Confirm>().RequestId;
        RunState durable = till.AllEffects.OfType<AgentEffect.SaveRun>().Last().Run;
        CoreDriver restarted = Lost(LockReason.StateRollback, slotHighest: 9, run: durable);
        Assert.Equal(first, restarted.Settle().SettleUntil<RequestPlan.Confirm>().RequestId);
    }

    [Fact]
    public void A_restart_repeats_a_recovery_under_the_same_request_id()
    {
        CoreDriver till = Lost(LockReason.StateRollback, slotHighest: 9);
        string first = ToRecovery(till).RequestId;
        RunState durable = till.AllEffects.OfType<AgentEffect.SaveRun>().Last().Run;
        CoreDriver restarted = Lost(LockReason.StateRollback, slotHighest: 9, run: durable);
        Assert.Equal(first, ToRecovery(restarted).RequestId);
    }

    [Fact]
    public void An_unreadable_ACTIVE_is_LOCKED_and_repaired_with_the_same_version()
    {
        CoreDriver till = Unreadable(Given.Bound(Given.Active(2)));
        Assert.Equal(LockReason.SecretUnreadable, Views.Facts(till.State).ReasonWhenLocked);
        ToRecovery(till);
        till.Answer(Given.Prepared(2, till.Real)).Staged(2);
        till.Answer(Given.Confirmed(2, till.Real)).Commit();
        Assert.Equal(AgentMode.Normal, till.Mode);
        Assert.Null(till.Run.Pending);
        Assert.Equal(Given.File(2, 1), till.State.Bound!.Active!.FileSha256);
    }

    [Fact]
    public void While_ACTIVE_is_staged_anew_it_is_held_once()
    {
        CoreDriver till = Unreadable(Given.Bound(Given.Active(2)));
        ToRecovery(till);
        till.Answer(Given.Prepared(2, till.Real)).Staged(2);
        Assert.Equal([2], Views.Usable(till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void GRACE_versions_that_open_survive_the_repair_and_unreadable_ones_do_not()
    {
        UtcTime week = Given.Start + TimeSpan.FromDays(7);
        BoundState bound = Given.Bound(Given.Grace(1, week), Given.Grace(2, week), Given.Active(3));
        CoreDriver till = new();
        till.Load(bound);
        till.Step(new AgentEvent.SecretsLoaded([], [3]));
        till.Step(new AgentEvent.SecretsLoaded([2], [1]));
        ToRecovery(till);
        till.Answer(Given.Prepared(3, till.Real)).Staged(3);
        till.Answer(Given.Confirmed(3, till.Real)).Commit();
        Assert.Equal([2, 3], till.State.Bound!.Secrets.Select(s => s.Version));
    }

    [Fact]
    public void Sixteen_GRACE_do_not_stand_in_the_way_of_a_repair()
    {
        UtcTime week = Given.Start + TimeSpan.FromDays(7);
        SecretEntry[] secrets = [.. Enumerable.Range(1, 16).Select(v => Given.Grace(v, week)), Given.Active(17)];
        CoreDriver till = new();
        till.Load(Given.Bound(secrets));
        till.Step(new AgentEvent.SecretsLoaded([], [17]));
        Assert.Equal(RotationReasons.Recovery, ToRecovery(till).Intent.Reason);
    }

    [Fact]
    public void What_an_order_took_out_of_use_is_not_repaired_but_replaced()
    {
        RunState run = RunState.Empty with { Highest = 9, Levels = Levels.None with { Invalidated = [9] } };
        CoreDriver till = Lost(LockReason.StateRollback, slotHighest: 9, run: run);
        RequestPlan.Prepare plan = ToRecovery(till);
        Assert.Equal((0, 9), (plan.Intent.Current, plan.Highest));
        Assert.NotEqual(RotationReasons.Recovery, plan.Intent.Reason);
    }

    [Fact]
    public void A_counter_that_contradicts_the_state_is_looked_at_again_before_the_repair()
    {
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));
        till.CheckIn(new SuspendDirective());
        till.Step(new AgentEvent.GenerationFailed("counter is 12", Contradiction: true));
        till.Under<Activity.Loading>();
        till.Step(new AgentEvent.StateUnusable(
            Given.Identity, Given.Keyset, LockReason.StateRollback, 12, 1, till.Run));
        ToRecovery(till);
        till.Answer(Given.Prepared(1, till.Real)).Staged(1);
        till.Answer(Given.Confirmed(1, till.Real));
        Assert.Equal(13, till.Under<Activity.Committing>().Next.Generation);
    }

    [Fact]
    public void An_operator_who_waits_for_the_repair_is_told_when_the_server_is_not_reached()
    {
        CoreDriver till = Lost(LockReason.StateRollback, slotHighest: 9);
        till.Step(new AgentEvent.RotateAsked(6));
        till.LoseContact();
        Assert.Equal("timeout", Assert.Single(till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
    }

    private static CoreDriver Lost(
        LockReason reason, long slotHighest = 1, long runHighest = 1, RunState? run = null)
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started());
        till.Step(new AgentEvent.StateUnusable(
            Given.Identity, Given.Keyset, reason, 40, slotHighest,
            run ?? RunState.Empty with { Highest = runHighest }));
        return till;
    }

    private static CoreDriver Unreadable(BoundState bound)
    {
        CoreDriver till = new();
        till.Load(bound);
        till.Step(new AgentEvent.SecretsLoaded([], [bound.Active!.Version]));
        return till;
    }

    private static RequestPlan.Prepare ToRecovery(CoreDriver till)
    {
        till.CheckIn();
        return till.SettleUntil<RequestPlan.Prepare>();
    }

    private static void Repair(CoreDriver till, long version)
    {
        ToRecovery(till);
        till.Answer(Given.Prepared(version, till.Real)).Staged(version);
        till.Answer(Given.Confirmed(version, till.Real)).Commit();
    }
}
