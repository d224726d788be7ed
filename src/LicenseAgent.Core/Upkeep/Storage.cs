using System.Collections.Immutable;

namespace LicenseAgent.Core;

/// <summary>
/// Durable writes that fail. Memory stays as decided; nothing that relies on the write has happened, and the run state
/// is written again before anything else is begun.
/// </summary>
internal static class Storage
{
    /// <summary>Undone records and erasures kept at most; more than this many and the audit log has a gap.</summary>
    private const int RedoMax = 64;

    public static void OnWritten(Turn turn)
    {
        if (!turn.State.LastEffects.Any(e => e is AgentEffect.SaveRun))
        {
            return;
        }

        turn.TroubleOver("storage_failing");
        if (turn.State.StorageGate != default)
        {
            turn.State = turn.State with { StorageGate = default };
        }
    }

    public static void OnEffectFailed(Turn turn, AgentEvent.EffectFailed e)
    {
        ImmutableArray<AgentEffect> step = turn.State.LastEffects, undone = step[e.Done..];
        InvariantBroken.Unless(
            undone.Any(u => u.IsDurable),
            "A write failed, and the last step had none: an activity fails with its own event.");
        if (!turn.State.RunUnsaved)
        {
            // A high-water that is not on the disk goes to the TPM: the next start finds the file behind it and pays.
            turn.State = turn.State with { Watch = turn.State.Watch with { MirroredBootMs = null } };
        }

        turn.State = turn.State with
        {
            RunUnsaved = true,
            StorageGate = turn.Backoff(turn.State.StorageGate, 5),
            Redo = Merge(turn.State.Redo, undone),
        };
        turn.Trouble("storage_failing", $"A durable write failed ({e.Reason}). Make room on the disk or repair it; "
            + "secrets do not change until writes succeed.");
        if (undone[^1].BeginsActivity)
        {
            DropActivity(turn, e.Reason, undone);
        }

        TakeBackCheckIn(turn, step);
        foreach (AgentEffect effect in undone)
        {
            Complete(turn, effect);
        }
    }

    private static void DropActivity(Turn turn, string reason, ImmutableArray<AgentEffect> undone)
    {
        Activity dropped = turn.State.Activity;
        turn.End();
        switch (dropped)
        {
            case Activity.Committing committing:
                bool recorded = undone.All(u => !u.IsDurableRecord || turn.State.Redo.Contains(u));
                Binding.Postpone(turn, committing.Next, recorded);
                break;
            case Activity.Staging { Software: true }
                or Activity.Exchanging { Plan: RequestPlan.Prepare { Software: true } }
                or Activity.Exchanging { Plan: RequestPlan.Confirm { Software: true } }:
                SoftwareFallback.Failed(turn, reason, 0);
                break;
            case Activity.LoadingPrevious or Activity.Staging
                or Activity.Exchanging { Plan: RequestPlan.Prepare or RequestPlan.Confirm }:
                Rotation.AttemptFailed(turn, reason);
                break;
            case Activity.Exchanging { Plan: RequestPlan.RenewLicense renewal }:
                Renewals.Failed(turn, renewal, reason);
                break;
            case Activity.Enrolling enrolling:
                Commands.AnswerEnroll(turn, enrolling, "storage_failed", reason);
                break;
        }
    }

    /// <summary>
    /// A check-in counts only when all it brought is durable: it is repeated at once, and asks for the revocations
    /// again unless their file is certain to be there.
    /// </summary>
    private static void TakeBackCheckIn(Turn turn, ImmutableArray<AgentEffect> undone)
    {
        if (undone.Any(e => e is AgentEffect.KeepReceipt))
        {
            turn.State = turn.State with { CheckInDueBootMs = 0 };
        }

        if (undone.Any(e => e is AgentEffect.SaveCertificate))
        {
            Certificates.OnLost(turn);
        }

        if (undone.Any(e => e is AgentEffect.SaveRevocations))
        {
            turn.UpdateRun(run => run with
            {
                Levels = run.Levels with { Revocations = turn.State.Bound?.Revocations },
            });
        }
    }

    /// <summary>Who waits is told now: an order that is not durable has failed, whatever memory does.</summary>
    private static void Complete(Turn turn, AgentEffect effect)
    {
        switch (effect)
        {
            case AgentEffect.CompleteInvalidate { RefusedBecause: null } done:
                turn.Emit(done with { RefusedBecause = "storage_failed" });
                break;
            case AgentEffect.CompleteDegraded { RefusedBecause: null } done:
                turn.Emit(done with { RefusedBecause = "storage_failed" });
                break;
            case AgentEffect.CompleteInvalidate or AgentEffect.CompleteRotate or AgentEffect.CompleteEnroll
                or AgentEffect.CompleteDegraded or AgentEffect.CompleteRenewal or AgentEffect.CountRotation:
                turn.Emit(effect);
                break;
        }
    }

    private static ImmutableArray<AgentEffect> Merge(
        ImmutableArray<AgentEffect> before, ImmutableArray<AgentEffect> undone) =>
    [
        .. before.Concat(undone)
            .Where(e => e is AgentEffect.EraseSecret or AgentEffect.EraseSoftware || e.IsDurableRecord)
            .DistinctBy(e => e is AgentEffect.Audit a ? (a.Event, a.Op) : ("erase", $"{e}"))
            .Take(RedoMax),
    ];
}
