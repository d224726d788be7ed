using LicenseAgent.Protocol.Encoding;

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
        TpmHealth before = turn.State.Tpm;

        // One that was silent and turns out to be another is news: waiting for it is over.
        bool isNews = before is TpmHealth.Ok or TpmHealth.Unknown
            || (e.Health is TpmHealth.Replaced && before is not TpmHealth.Replaced);
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
            case Activity.Probing when turn.State.Lock is LockReason.TpmUnavailable or LockReason.TpmReplaced:
                turn.State = turn.State with { Lock = ReasonOf(e.Health) };
                break;
            case Activity.Committing committing:
                // The record comes before the first command.
                turn.State = turn.State with { Unfinished = committing.Next, UnfinishedIsRecorded = true };
                break;
            case Activity.Anchoring:
                // An index that cannot be written must not keep secrets from being opened, time after time.
                PostponeAnchors(turn);
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

        if (isNews)
        {
            turn.Audit("tpm_lost", turn.State.Run.Mode, "failed", durable: false,
                ("health", e.Health.ToString()), ("detail", e.Detail));
        }
    }

    /// <summary>Why a till whose TPM is lost is LOCKED: each has a remedy of its own.</summary>
    public static LockReason ReasonOf(TpmHealth lost) =>
        lost is TpmHealth.Replaced ? LockReason.TpmReplaced : LockReason.TpmUnavailable;

    public static void OnReturned(Turn turn)
    {
        Expect.During<Activity.Probing>(turn);
        turn.State = turn.State with
        {
            Tpm = TpmHealth.Ok,
            TpmDetail = "",
            TpmGate = default,
            CheckInUrgent = turn.State.CheckInUrgent || turn.State.Software is not null,
        };
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

    /// <summary>
    /// The first thing done with a state that was found: from then on the TPM knows of this start, and a run state
    /// copied before it is one that was put back.
    /// </summary>
    public static bool TryFirstMirror(Turn turn) =>
        turn.State.Watch is { IsStarted: true, MirroredBootMs: null }
        && turn.State is { Bound: not null, Loaded.Count: 0 } && TryAnchor(turn);

    public static bool TryAnchor(Turn turn)
    {
        AgentState state = turn.State;
        bool mirror = IsMirrorDue(turn);
        if (state.Tpm != TpmHealth.Ok || state.Identity is null || !state.AnchorGate.IsOpen(turn.Now)
            || (turn.Now.BootMs < state.AnchorDueBootMs && !mirror))
        {
            return false;
        }

        // The file first: a mirror ahead of it says that the file was put back. With a disk that cannot be written it
        // is ahead all the same, and the next start pays for what the disk did not keep.
        if (mirror && !state.RunUnsaved)
        {
            turn.SaveRun();
        }

        UtcTime? highWater = mirror ? turn.TrustedNow : null;
        turn.Begin(
            new Activity.Anchoring(highWater),
            new AgentEffect.WriteAnchors(state.CheckpointDue && !state.RunUnsaved, highWater));
        return true;
    }

    public static void OnAnchored(Turn turn)
    {
        Activity.Anchoring anchoring = Expect.During<Activity.Anchoring>(turn);
        turn.TroubleOver("anchoring_failing");

        // Checkpoints are hourly.
        turn.State = turn.State with
        {
            AnchorDueBootMs = turn.Now.BootMs + Timing.AnchorEveryMs,
            AnchorGate = default,
            CheckpointDue = true,
        };
        Mirrored(turn, anchoring);
    }

    /// <summary>Nothing waits for the anchors: they are tried again with the next high-water.</summary>
    public static void OnAnchoringFailed(Turn turn, AgentEvent.AnchoringFailed e)
    {
        Activity.Anchoring anchoring = Expect.During<Activity.Anchoring>(turn);
        PostponeAnchors(turn);
        turn.Trouble("anchoring_failing", $"The audit log could not be tied to the TPM ({e.Detail}). Make room on the "
            + "disk of the audit log or repair it.");

        // It goes before what needs the log, so that a full disk does not stop it.
        Mirrored(turn, anchoring);
    }

    public static void OnCheckpointWanted(Turn turn)
    {
        turn.State = turn.State with { CheckpointDue = true };
        AnchorSoon(turn);
    }

    public static void AnchorSoon(Turn turn) => turn.State = turn.State with { AnchorDueBootMs = turn.Now.BootMs };

    private static void PostponeAnchors(Turn turn) => turn.State = turn.State with
    {
        AnchorGate = new RetryGate(1, turn.Now.BootMs + Timing.HighWaterEveryMs),
    };

    private static void Mirrored(Turn turn, Activity.Anchoring anchoring)
    {
        if (anchoring.Mirror is { } mirror)
        {
            turn.State = turn.State with
            {
                Watch = turn.State.Watch with { Mirror = mirror, MirroredBootMs = turn.Now.BootMs },
            };
        }
    }

    /// <summary>At start, with every generation, and often enough; less often while NORMAL: NV wears out.</summary>
    private static bool IsMirrorDue(Turn turn)
    {
        if (!turn.State.Watch.IsStarted)
        {
            return false;
        }

        bool normal = Views.Mode(turn.State, turn.TrustedNow) == AgentMode.Normal;
        long every = normal ? Timing.MirrorEveryMs : Timing.MirrorEveryNotNormalMs;
        return turn.State.Watch.MirroredBootMs is not { } at || turn.Now.BootMs - at >= every;
    }
}
