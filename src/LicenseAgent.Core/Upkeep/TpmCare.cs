namespace LicenseAgent.Core;

/// <summary>The TPM going away and coming back, and what is written to it for its own sake.</summary>
internal static class TpmCare
{
    /// <summary>Any activity may end so; what it was about is tried again when the TPM is back.</summary>
    public static void OnFailed(Turn turn, AgentEvent.TpmFailed e)
    {
        Activity ended = turn.State.Activity;
        InvariantBroken.Unless(ended is not Activity.Idle, "A TPM failure belongs to an activity.");
        turn.End();
        bool wasOk = turn.State.Tpm is TpmHealth.Ok or TpmHealth.Unknown;
        int failures = Math.Min(turn.State.TpmGate.Failures + 1, 30);
        long delay = Math.Min(
            Timing.TpmProbeMaxMs, Timing.BackoffMs(failures, degraded: true, turn.Now.Draw(3)));
        turn.State = turn.State with
        {
            Tpm = e.Health,
            TpmDetail = e.Detail,
            TpmGate = new RetryGate(failures, turn.Now.BootMs + delay),
        };
        switch (ended)
        {
            case Activity.Loading:
                turn.State = turn.State with
                {
                    Lock = e.Health == TpmHealth.Replaced ? LockReason.TpmReplaced : LockReason.TpmUnavailable,
                };
                break;
            case Activity.Committing committing:
                turn.State = turn.State with { Unfinished = committing.Next };
                break;
            case Activity.Enrolling enrolling:
                turn.State = turn.State with { RotationGate = turn.Backoff(turn.State.RotationGate, 8) };
                Commands.AnswerEnroll(turn, enrolling, "tpm_unavailable", e.Detail);
                break;
            case Activity.Staging or Activity.Exchanging { Plan: RequestPlan.Prepare or RequestPlan.Confirm }:
                Rotation.AttemptFailed(turn, "tpm_unavailable");
                break;
        }

        if (ended is Activity.Exchanging { Plan: RequestPlan.RenewLicense renewal })
        {
            Renewals.Failed(turn, renewal, "tpm_unavailable");
        }

        if (wasOk)
        {
            turn.Audit("tpm_lost", turn.State.Run.Mode, "failed", durable: false,
                ("health", e.Health.ToString()), ("detail", e.Detail));
        }
    }

    public static void OnReturned(Turn turn)
    {
        Expect.During<Activity.Probing>(turn);
        turn.State = turn.State with { Tpm = TpmHealth.Ok, TpmDetail = "", TpmGate = default };
        turn.Audit("tpm_returned", turn.State.Run.Mode);
        if (turn.State.Lock is LockReason.TpmUnavailable or LockReason.TpmReplaced)
        {
            turn.State = turn.State with { Lock = LockReason.Starting };
            return;
        }

        // Contact and rotation waited for the TPM, not for the server: no reason to wait out their back-off.
        turn.State = turn.State with
        {
            RotationGate = default,
            CheckInGate = default,
            CommitGate = default,
            CheckInDueBootMs = 0,
        };
        AnchorSoon(turn);
    }

    public static bool TryProbe(Turn turn)
    {
        bool enrolling = turn.State.Identity is null && turn.State.Lock is LockReason.NotEnrolled;
        if (turn.State.Tpm is TpmHealth.Ok or TpmHealth.Unknown || !turn.State.TpmGate.IsOpen(turn.Now) || enrolling)
        {
            return false;
        }

        turn.Begin(new Activity.Probing(), new AgentEffect.ProbeTpm());
        return true;
    }

    public static bool TryAnchor(Turn turn)
    {
        if (turn.State.Tpm != TpmHealth.Ok || turn.State.Identity is null
            || turn.Now.BootMs < turn.State.AnchorDueBootMs)
        {
            return false;
        }

        turn.Begin(new Activity.Anchoring(), new AgentEffect.WriteAnchors(turn.State.CheckpointDue));
        return true;
    }

    public static void OnAnchored(Turn turn)
    {
        Expect.During<Activity.Anchoring>(turn);
        turn.TroubleOver("anchoring_failing");

        // Checkpoints are hourly, and so is the mirror while not NORMAL; the loop skips mirror writes in between.
        turn.State = turn.State with
        {
            AnchorDueBootMs = turn.Now.BootMs + Timing.AnchorEveryMs,
            CheckpointDue = true,
        };
    }

    /// <summary>Nothing waits for the anchors: they are tried again with the next high-water.</summary>
    public static void OnAnchoringFailed(Turn turn, AgentEvent.AnchoringFailed e)
    {
        Expect.During<Activity.Anchoring>(turn);
        turn.State = turn.State with { AnchorDueBootMs = turn.Now.BootMs + Timing.HighWaterEveryMs };
        turn.Trouble("anchoring_failing", $"The audit log could not be tied to the TPM ({e.Detail}). Make room on the "
            + "disk of the audit log or repair it.");
    }

    public static void OnCheckpointWanted(Turn turn)
    {
        turn.State = turn.State with { CheckpointDue = true };
        AnchorSoon(turn);
    }

    public static void AnchorSoon(Turn turn) => turn.State = turn.State with { AnchorDueBootMs = turn.Now.BootMs };
}
