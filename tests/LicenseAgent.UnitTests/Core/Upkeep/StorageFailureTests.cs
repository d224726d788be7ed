using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>A disk that fails at any durable write: nothing leaves that is not durable, and all heals with the disk.</summary>
public sealed class StorageFailureTests
{
    private readonly CoreDriver _till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));

    [Fact]
    public void What_a_failed_step_should_have_begun_is_not_under_way()
    {
        _till.Step(new AgentEvent.RotateAsked(1));
        Assert.Contains(_till.Effects, e => e is AgentEffect.Send { Plan: RequestPlan.Prepare });
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        Assert.IsNotType<Activity.Exchanging>(_till.State.Activity);
    }

    [Fact]
    public void What_an_earlier_step_began_goes_on()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.After(TimeSpan.FromMinutes(1));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        _till.Answer(Given.CheckedIn(_till.Real));
        Assert.Equal(_till.Real, _till.Run.LastContact);
    }

    [Fact]
    public void Nothing_is_begun_before_the_run_state_is_durable_again()
    {
        _till.Step(new AgentEvent.RotateAsked(1));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        for (int i = 0; i < 20; i++)
        {
            Assert.DoesNotContain(_till.Effects, e => e is AgentEffect.Send);
            Wake();
            int saved = _till.Effects.ToList().FindIndex(e => e is AgentEffect.SaveRun);
            int sent = _till.Effects.ToList().FindIndex(e => e is AgentEffect.Send);
            Assert.True(sent < 0 || (saved >= 0 && saved < sent));
            _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        }
    }

    [Fact]
    public void Every_durable_write_of_a_rotation_may_fail_and_nothing_leaves_that_is_not_durable()
    {
        int failedAt = 0;
        bool failed;
        do
        {
            failed = RotateFailingAt(failedAt++);
        }
        while (failed);

        Assert.InRange(failedAt, 7, 100);
    }

    [Fact]
    public void A_failing_disk_raises_one_alert_and_clears_it_once()
    {
        _till.After(TimeSpan.FromMinutes(2));
        for (int i = 0; i < 5; i++)
        {
            _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
            Assert.Contains("storage_failing", _till.State.Alerts.Keys);
            Wake();
        }

        _till.Tick().Tick();
        Assert.DoesNotContain("storage_failing", _till.State.Alerts.Keys);
        Assert.Equal(1, _till.AllEffects.Count(e => e is AgentEffect.Audit { Event: "alert_raised" }));
        Assert.Equal(1, _till.AllEffects.Count(e => e is AgentEffect.Audit { Event: "alert_cleared" }));
    }

    [Fact]
    public void A_disk_that_keeps_failing_is_tried_ever_more_seldom()
    {
        _till.After(TimeSpan.FromMinutes(2));
        for (int i = 1; i <= 10; i++)
        {
            _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
            Assert.Equal(i, _till.State.StorageGate.Failures);
            Wake();
        }

        _till.Tick();
        Assert.Equal(0, _till.State.StorageGate.Failures);
    }

    [Fact]
    public void An_operator_who_waits_for_a_rotation_is_told_of_the_disk()
    {
        _till.Step(new AgentEvent.RotateAsked(8));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        AgentEffect.CompleteRotate told = Assert.Single(_till.Did<AgentEffect.CompleteRotate>());
        Assert.Equal((8, null), (told.Ticket, told.Version));
    }

    [Fact]
    public void While_the_disk_fails_a_rotation_asked_for_tries_it_at_once_and_is_refused_with_the_reason()
    {
        _till.After(TimeSpan.FromMinutes(2));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        _till.Step(new AgentEvent.RotateAsked(8));
        Assert.IsType<AgentEffect.SaveRun>(_till.Effects[0]);
        Assert.Empty(_till.Did<AgentEffect.CompleteRotate>());
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        Assert.Equal("storage_failed", Assert.Single(_till.Did<AgentEffect.CompleteRotate>()).FailedBecause);
    }

    [Fact]
    public void An_operator_who_made_room_does_not_wait_for_the_next_try_of_the_disk()
    {
        _till.After(TimeSpan.FromMinutes(2));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        _till.Step(new AgentEvent.RotateAsked(8));
        Assert.IsType<AgentEffect.SaveRun>(_till.Effects[0]);
        _till.SettleUntil<RequestPlan.Prepare>();
        Assert.Empty(_till.Did<AgentEffect.CompleteRotate>());
    }

    [Fact]
    public void An_invalidation_that_is_not_durable_is_told_so_holds_in_memory_and_is_made_good()
    {
        _till.Step(new AgentEvent.InvalidateAsked(3, 1, Force: true));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        Assert.Equal("storage_failed", Assert.Single(_till.Did<AgentEffect.CompleteInvalidate>()).RefusedBecause);
        Assert.Empty(Views.Usable(_till.State));
        Wake();
        int saved = _till.Effects.ToList().FindIndex(
            e => e is AgentEffect.SaveRun s && s.Run.Levels.Invalidated.Contains(1));
        int erased = _till.Effects.ToList().FindIndex(e => e is AgentEffect.EraseSecret { Version: 1 });
        Assert.True(saved >= 0 && erased > saved);
        Assert.Contains("secret_invalidated", _till.Audited);
    }

    [Fact]
    public void Revocations_whose_file_is_not_certain_are_asked_for_again_at_once()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Answer(Given.CheckedIn(_till.Real, revocations: new RevocationList(5, ["lic-1"])));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        Assert.Null(_till.Run.Levels.Revocations);
        Wake();
        Assert.Equal(0, _till.SettleUntil<RequestPlan.CheckIn>().RevocationsVersion);
    }

    [Fact]
    public void A_check_in_that_is_not_durable_is_repeated_though_its_orders_hold_already()
    {
        _till.SettleUntil<RequestPlan.CheckIn>();
        _till.Answer(Given.CheckedIn(_till.Real, [new SuspendDirective()], nextS: 3_600));
        _till.Step(new AgentEvent.EffectFailed("ENOSPC"));
        Assert.Equal(AgentMode.Locked, _till.Mode);
        int before = CheckIns();
        _till.LoseContactUntil(_till.Real + TimeSpan.FromSeconds(30));
        Assert.True(CheckIns() > before);
    }

    [Fact]
    public void A_generation_that_was_not_written_is_written_before_anything_else()
    {
        _till.CheckIn(new SuspendDirective());
        BoundState next = _till.Under<Activity.Committing>().Next;
        _till.Step(new AgentEvent.GenerationFailed("EIO", Contradiction: false));
        _till.LoseContactUntil(_till.Real + TimeSpan.FromSeconds(5));
        AgentEffect.CommitGeneration again = _till.AllEffects.OfType<AgentEffect.CommitGeneration>().Last();
        Assert.Same(next, again.Next);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 2)]
    public void A_generation_that_the_log_tells_of_is_not_told_of_again(bool recorded, int told)
    {
        _till.CheckIn(new SuspendDirective());
        int before = _till.CountAudited("generation_committed") - 1;
        _till.Step(new AgentEvent.GenerationFailed("EIO", Contradiction: false, recorded));
        _till.LoseContactUntil(_till.Real + TimeSpan.FromSeconds(5));
        Assert.Equal(2, _till.AllEffects.OfType<AgentEffect.CommitGeneration>().Count());
        Assert.Equal(told, _till.CountAudited("generation_committed") - before);
    }

    [Fact]
    public void What_was_done_before_a_write_failed_is_not_done_again()
    {
        _till.CheckIn(new SuspendDirective());
        AgentEffect[] step = [.. _till.State.LastEffects];
        Predicate<AgentEffect> isRecord = e => e is AgentEffect.Audit { Durable: true };
        int saved = Array.FindIndex(step, e => e is AgentEffect.SaveRun);
        string done = Assert.IsType<AgentEffect.Audit>(Array.Find(step, isRecord)).Event;
        Assert.True(Array.FindIndex(step, isRecord) < saved);

        _till.Step(new AgentEvent.EffectFailed("EIO", Done: saved));
        _till.LoseContactUntil(_till.Real + TimeSpan.FromSeconds(30));

        Assert.True(step[^1] is AgentEffect.CommitGeneration);
        Assert.Equal(step[^1], _till.AllEffects.OfType<AgentEffect.CommitGeneration>().Last());
        Assert.Equal(1, _till.CountAudited(done));
    }

    [Fact]
    public void A_rotation_whose_generation_is_not_certain_keeps_opening_under_both()
    {
        _till.ToConfirm(2);
        _till.Answer(Given.Confirmed(2, _till.Real, previous: new PreviousVersion(1, Given.Active(1).GraceUntil)));
        _till.Step(new AgentEvent.GenerationFailed("EIO", Contradiction: false));
        Assert.Equal([1, 2], Views.Usable(_till.State).Select(u => u.Entry.Version));
    }

    [Fact]
    public void A_state_that_cannot_be_read_is_read_again_later()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.LoadFailed("EIO"));
        Assert.Contains("state_unreadable", till.State.Alerts.Keys);
        till.After(TimeSpan.FromSeconds(5));
        till.Under<Activity.Loading>();
        till.Step(new AgentEvent.StateLoaded(Given.Identity, Given.Bound(Given.Active(1)), RunState.Empty));
        Assert.DoesNotContain("state_unreadable", till.State.Alerts.Keys);
    }

    /// <summary>Swarm seed 934: the alert stood for ever after an enrolment in place of what could not be read.</summary>
    [Fact]
    public void What_could_not_be_read_is_of_no_more_use_after_an_enrolment_in_its_place()
    {
        CoreDriver till = new();
        till.Step(new AgentEvent.Started()).Step(new AgentEvent.LoadFailed("EIO"));
        till.After(TimeSpan.FromSeconds(5)).Step(new AgentEvent.TpmFailed(TpmHealth.Replaced, "another SRK"));
        Assert.Contains("state_unreadable", till.State.Alerts.Keys);
        till.Step(new AgentEvent.EnrollAsked(3, Replace: true));
        till.Step(new AgentEvent.Enrolled(Given.Identity, Given.Keyset, 0, 0, till.Real, till.BootMs));
        Assert.DoesNotContain("state_unreadable", till.State.Alerts.Keys);
    }

    private int CheckIns() => _till.AllEffects.Count(e => e is AgentEffect.Send { Plan: RequestPlan.CheckIn });

    /// <summary>Time passes until the core tries to write again.</summary>
    private void Wake()
    {
        do
        {
            long wake = AgentCore.NextWakeBootMs(_till.State, _till.Now);
            _till.After(TimeSpan.FromMilliseconds(wake - _till.BootMs));
        }
        while (_till.Did<AgentEffect.SaveRun>().IsEmpty);
    }

    /// <summary>One rotation in which the k-th durable write fails once.</summary>
    private static bool RotateFailingAt(int k)
    {
        FailingDisk disk = new(k);
        CoreDriver till = CoreDriver.Enrolled(Given.Bound(Given.Active(1)));
        disk.Take(till.State);
        till.Step(new AgentEvent.CheckpointWanted()).Step(new AgentEvent.Anchored());
        till.Step(new AgentEvent.RotateAsked(1));
        for (int step = 0; step < 500; step++)
        {
            if (!disk.CarryOut(till))
            {
                till.Step(new AgentEvent.EffectFailed("ENOSPC"));
            }
            else if (Views.Active(till.State)!.Version == 2 && !till.State.RunUnsaved)
            {
                return disk.HasFailed;
            }
            else if (!disk.Answer(till))
            {
                till.After(TimeSpan.FromMilliseconds(AgentCore.NextWakeBootMs(till.State, till.Now) - till.BootMs));
            }
        }

        throw new InvalidOperationException($"Write {k} failed once, and the rotation never ended.");
    }
}
