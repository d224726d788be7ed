using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>
/// Prepare, stage, confirm, commit. Whoever receives can open version n+1 before whoever sends uses it; nobody drops
/// n while a live token may need it.
/// </summary>
internal static class Rotation
{
    private const int RejectedInARowMax = 3;
    private const int TicketsMax = 16;

    /// <summary>Gives back a version that cannot or may not be used; repeated until the server has answered.</summary>
    public static bool TryReject(Turn turn)
    {
        if (turn.State.Run.Reject is not { } reject || !CanRotate(turn))
        {
            return false;
        }

        turn.Send(new RequestPlan.Reject(reject.RequestId, reject.Version, reject.Reason));
        return true;
    }

    /// <summary>PENDING that is in memory proves itself to the server.</summary>
    public static bool TryConfirm(Turn turn)
    {
        if (turn.State.Run.Pending is not { } pending)
        {
            return false;
        }

        UtcTime now = turn.TrustedNow;

        // The server confirms ACTIVE whenever it is asked: a repair of that very version has no date to keep.
        bool isActiveAnew = pending.Entry.Version == Views.Active(turn.State)?.Version;
        bool isLate = !pending.ConfirmSent && !isActiveAnew && now >= pending.ConfirmBy;
        bool over = isLate || now >= pending.Entry.GraceUntil;
        if (over)
        {
            DropPending(turn, "expired");
            AttemptFailed(turn, "expired");
            turn.SaveRun();
            return false;
        }

        if (!CanRotate(turn) || !turn.State.Loaded.Contains(pending.Entry.Version))
        {
            return false;
        }

        if (!pending.ConfirmSent)
        {
            pending = pending with { ConfirmSent = true };
            turn.UpdateRun(run => run with { Pending = pending });
            turn.SaveRun();
        }

        turn.Send(new RequestPlan.Confirm(pending.ConfirmRequestId, pending));
        return true;
    }

    /// <summary>Asks for the next secret when one is due.</summary>
    public static bool TryPrepare(Turn turn)
    {
        AgentState state = turn.State;
        if (state.Run.Pending is not null || !CanRotate(turn) || DueReason(turn) is not { } reason)
        {
            return false;
        }

        SecretEntry? active = Views.Active(state);
        long current = reason == RotationReasons.Recovery ? 0 : active?.Version ?? 0;
        if (TooManyGrace(turn) && reason is RotationReasons.Scheduled or RotationReasons.Forced)
        {
            AttemptFailed(turn, "too_many_grace");
            return false;
        }

        RotationIntent? intent = state.Run.Intent;
        bool wrongKind = (intent?.Reason == RotationReasons.Recovery) != (reason == RotationReasons.Recovery);
        if (intent is null || intent.Current != current || wrongKind)
        {
            intent = Intend(turn, reason);
            turn.SaveRun();
        }

        turn.Send(new RequestPlan.Prepare(intent.RequestId, intent, Views.Highest(state)));
        return true;
    }

    /// <summary>A new intent, and a new request id with it; the caller saves the run state.</summary>
    public static RotationIntent Intend(Turn turn, string reason)
    {
        SecretEntry? active = reason == RotationReasons.Recovery ? null : Views.Active(turn.State);
        RotationIntent intent = new(
            turn.Now.NewRequestId(turn.TrustedNow, 1), active?.Version ?? 0, active?.Kcv.ToString() ?? "", reason);
        turn.UpdateRun(run => run with { Intent = intent, StageFailures = 0 });
        turn.Audit("rotation_started", intent.RequestId, "ok", durable: false,
            ("reason", reason), ("current", intent.Current));
        return intent;
    }

    public static void OnPrepared(Turn turn, RotateSecretAnswer answer, ReadOnlyMemory<byte> raw)
    {
        RotationIntent intent = turn.State.Run.Intent
            ?? throw new InvariantBroken("A prepare was answered without an intent.");
        bool byOrder = false;
        if ((WrongNumber(turn.State, answer) ?? Invalidated(turn.State, answer, out byOrder)) is { } why)
        {
            turn.Trouble("server_version_refused", why);
            turn.Audit("version_refused", intent.RequestId, "refused", durable: true,
                ("version", answer.SecretVersion), ("why", why));
            turn.UpdateRun(run => run with { Intent = null });
            if (byOrder)
            {
                turn.UpdateRun(run => run with { Highest = Math.Max(run.Highest, answer.SecretVersion) });
                GiveBack(turn, answer.SecretVersion, RejectReasons.Invalidated);
            }

            AttemptFailed(turn, "version_refused");
            turn.SaveRun();
            return;
        }

        turn.TroubleOver("server_version_refused");
        turn.UpdateRun(run => run with { Highest = Math.Max(run.Highest, answer.SecretVersion) });
        turn.SaveRun();
        bool recovery = intent.Reason == RotationReasons.Recovery;
        turn.Begin(new Activity.Staging(answer, recovery), new AgentEffect.StageSecret(answer, raw));
    }

    public static void OnStaged(Turn turn, AgentEvent.SecretStaged e)
    {
        Activity.Staging staging = Expect.During<Activity.Staging>(turn);
        RotateSecretAnswer answer = staging.Answer;
        InvariantBroken.Unless(answer.SecretVersion == e.Version, "Another version was staged.");
        if (staging.Software)
        {
            SoftwareFallback.OnStaged(turn, staging, e);
            return;
        }

        PendingSecret pending = PendingOf(turn, staging, e);
        turn.State = turn.State with
        {
            Loaded = turn.State.Loaded.Add(e.Version),
            Unreadable = turn.State.Unreadable.Remove(e.Version),
            Erased = turn.State.Erased.Remove(e.Version),
        };
        turn.Audit("secret_staged", answer.RequestId, "ok", durable: true,
            ("version", e.Version), ("kcv", answer.Kcv.ToString()));
        turn.UpdateRun(run => run with { Pending = pending, Intent = null, StageFailures = 0 });
        turn.SaveRun();
    }

    public static PendingSecret PendingOf(Turn turn, Activity.Staging staging, AgentEvent.SecretStaged e)
    {
        RotateSecretAnswer answer = staging.Answer;

        // The server may have made the version long ago. Its life will count from the confirm, so here it counts from
        // the offer: it must open tokens when the confirm's answer is lost and the server already mints under it.
        TimeSpan late = answer.ServerTime > answer.ValidFrom ? answer.ServerTime - answer.ValidFrom : TimeSpan.Zero;
        SecretEntry entry = new(
            e.Version, SecretState.Pending, answer.Kcv, e.FileSha256, turn.TrustedNow,
            answer.ValidFrom + late, answer.ValidUntil + late, answer.GraceUntil + late);
        return new PendingSecret(
            entry, answer.ConfirmBy, turn.Now.NewRequestId(turn.TrustedNow, 2), false, staging.Recovery);
    }

    /// <summary>A definite failure is tried once more with the next answer, then the version is given back.</summary>
    public static void OnStagingFailed(Turn turn, AgentEvent.StagingFailed e)
    {
        Activity.Staging staging = Expect.During<Activity.Staging>(turn);
        if (staging.Software)
        {
            SoftwareFallback.OnStagingFailed(turn, e);
            return;
        }

        if (e.RejectReason is { } reason)
        {
            turn.UpdateRun(run => run with { StageFailures = run.StageFailures + 1 });
            turn.Audit("staging_failed", staging.Answer.RequestId, "failed", durable: false,
                ("version", e.Version), ("reason", reason), ("detail", e.Detail));
            if (turn.State.Run.StageFailures >= 2)
            {
                GiveBack(turn, e.Version, reason);
            }
        }

        AttemptFailed(turn, e.RejectReason ?? "staging_failed");
        turn.SaveRun();
    }

    public static void OnConfirmed(Turn turn, ConfirmRotationAnswer answer)
    {
        if (turn.State.Run.Pending is not { } pending)
        {
            // An operator took it out of use while the confirm was on its way; it is being given back.
            return;
        }

        if (answer.SecretVersion != pending.Entry.Version)
        {
            turn.Trouble("server_version_refused", $"The server confirmed {answer.SecretVersion}, "
                + $"PENDING is {pending.Entry.Version}. Look at the server's audit of this agent.");
            AttemptFailed(turn, "wrong_version_confirmed");
            return;
        }

        if (answer.MinValidVersion > pending.Entry.Version)
        {
            turn.UpdateRun(run => run with
            {
                Levels = run.Levels with
                {
                    MinValidVersion = Math.Max(run.Levels.MinValidVersion, answer.MinValidVersion),
                },
            });
            DropPending(turn, "below_min_valid");
            turn.SaveRun();
            return;
        }

        if (turn.State.Bound is null && answer.Previous.Count > 0)
        {
            ImmutableArray<PreviousVersion> newest =
                [.. answer.Previous.OrderByDescending(p => p.Version).Take(BoundState.MaxGrace)];
            turn.Begin(new Activity.LoadingPrevious(answer), new AgentEffect.LoadPrevious(newest));
            return;
        }

        Binding.CommitRotation(turn, answer, turn.State.Bound?.Secrets ?? []);
    }

    public static void OnPreviousLoaded(Turn turn, AgentEvent.PreviousLoaded e)
    {
        Activity.LoadingPrevious loading = Expect.During<Activity.LoadingPrevious>(turn);
        turn.State = turn.State with { Loaded = turn.State.Loaded.Union(e.Entries.Select(s => s.Version)) };
        Binding.CommitRotation(turn, loading.Answer, [.. e.Entries.OrderBy(s => s.Version)]);
    }

    public static void OnPreviousFailed(Turn turn, AgentEvent.PreviousFailed e)
    {
        Expect.During<Activity.LoadingPrevious>(turn);
        AttemptFailed(turn, e.Reason);
        turn.SaveRun();
    }

    public static void OnRejected(Turn turn)
    {
        turn.UpdateRun(run => run with { Reject = null });
        turn.SaveRun();
    }

    /// <summary>
    /// Takes PENDING out of use. Only an authenticated answer, an order or its own end lead here once sent. Nothing
    /// will load its file again, so it goes too, and a new version is prepared whether or not one is due by time; the
    /// caller saves the run state.
    /// </summary>
    public static void DropPending(Turn turn, string why)
    {
        PendingSecret pending = turn.State.Run.Pending
            ?? throw new InvariantBroken("There is no PENDING to drop.");
        long version = pending.Entry.Version;
        turn.UpdateRun(run => run with { Pending = null });
        turn.State = turn.State with { Loaded = turn.State.Loaded.Remove(version) };
        turn.Audit("pending_dropped", pending.ConfirmRequestId, "ok", durable: true,
            ("version", version), ("why", why));
        turn.Emit(new AgentEffect.EraseSecret(version));
        Intend(turn, RotationReasons.Scheduled);
    }

    /// <summary>Tells the server that a version cannot or may not be used; then another is prepared.</summary>
    public static void GiveBack(Turn turn, long version, string reason)
    {
        turn.UpdateRun(run => run with
        {
            Reject = new RejectIntent(turn.Now.NewRequestId(turn.TrustedNow, 3), version, reason),

            // What an order takes away says nothing about the TPM or the keys.
            RejectedInARow = run.RejectedInARow + (reason == RejectReasons.Invalidated ? 0 : 1),
        });
        turn.Audit("version_rejected", turn.State.Run.Reject!.RequestId, "failed", durable: true,
            ("version", version), ("reason", reason));
        Intend(turn, RotationReasons.Scheduled);
    }

    /// <summary>Counts the attempt, waits, and tells the operators who asked.</summary>
    public static void AttemptFailed(Turn turn, string why)
    {
        turn.UpdateRun(run => run with { FailedInARow = run.FailedInARow + 1 });
        turn.State = turn.State with { RotationGate = turn.Backoff(turn.State.RotationGate, 4) };
        if (turn.State.Run.RejectedInARow >= RejectedInARowMax)
        {
            turn.Trouble("rotation_rejected", $"{turn.State.Run.RejectedInARow} versions in a row could not be used. "
                + "Check the TPM (license-agent-cli tpm) and whether the server knows this till's decryption key.");
            turn.UpdateRun(run => run with { RejectedInARow = 0 });
            HoldFor(turn, Timing.RefusedRetryMs);
        }

        turn.Emit(new AgentEffect.CountRotation(Succeeded: false));
        CompleteTickets(turn, null, why);
    }

    public static void HoldFor(Turn turn, long ms)
    {
        turn.State = turn.State with { RotationGate = turn.State.RotationGate.NotBefore(turn.Now.BootMs + ms) };
    }

    public static void CompleteTickets(Turn turn, long? version, string? why)
    {
        foreach (long ticket in turn.State.RotateTickets)
        {
            turn.Emit(new AgentEffect.CompleteRotate(ticket, version, why));
        }

        turn.State = turn.State with { RotateTickets = [] };
    }

    public static bool CanTakeTicket(AgentState state) => state.RotateTickets.Length < TicketsMax;

    private static bool CanRotate(Turn turn) =>
        turn.State.Identity is not null && turn.State.Tpm == TpmHealth.Ok && !turn.State.Run.Levels.Suspended
        && turn.IsOpen(turn.State.RotationGate) && turn.State.Unfinished is null
        && (turn.State.Lock is null || (IsRepairable(turn.State.Lock) && turn.State.RepairReported));

    /// <summary>Whether the server's word ends the lock: a recovery is asked for.</summary>
    public static bool IsRepairable(LockReason? reason) =>
        reason is LockReason.StateRollback or LockReason.StateCorrupt or LockReason.SecretUnreadable;

    private static string? DueReason(Turn turn)
    {
        AgentState state = turn.State;
        SecretEntry? active = Views.Active(state);
        // The server would repair with what an order took out of use here: then a new number is asked for.
        if (IsRepairable(state.Lock) && (active is not null || !Views.IsOutOfUse(state, Views.Highest(state))))
        {
            return RotationReasons.Recovery;
        }

        if (state.RotateAbove > 0 && active?.Version <= state.RotateAbove)
        {
            return RotationReasons.Directive;
        }

        if (state.Run.Intent is { } intent && intent.Current == (active?.Version ?? 0))
        {
            return intent.Reason;
        }

        if (active is null)
        {
            return state.Bound is { Secrets.IsEmpty: false } ? RotationReasons.Directive : RotationReasons.Scheduled;
        }

        if (state.RotateTickets.Length > 0)
        {
            return RotationReasons.Forced;
        }

        return turn.TrustedNow >= Views.RotationDue(state) ? RotationReasons.Scheduled : null;
    }

    private static bool TooManyGrace(Turn turn) =>
        turn.State.Bound is { } bound && Views.Active(turn.State) is not null
        && bound.Grace.Count(s => turn.TrustedNow < s.GraceUntil && !turn.State.Run.Levels.Forbids(s.Version))
            >= BoundState.MaxGrace;

    public static string? WrongNumber(AgentState state, RotateSecretAnswer answer)
    {
        long highest = Views.Highest(state);
        long active = Views.Active(state)?.Version ?? 0;
        long version = answer.SecretVersion;
        return version switch
        {
            _ when version < highest => $"The server offered version {version}, {highest} was seen already.",
            _ when version <= active && state.Lock is null =>
                $"The server offered version {version}, ACTIVE is {active}.",
            _ when version > highest + AgentApiLimits.VersionJump =>
                $"The server offered version {version}, too far above {highest}.",
            _ => null,
        };
    }

    private static string? Invalidated(AgentState state, RotateSecretAnswer answer, out bool byOrder)
    {
        byOrder = Views.IsOutOfUse(state, answer.SecretVersion);
        return byOrder
            ? $"The server offered version {answer.SecretVersion}, which was invalidated by order."
            : null;
    }
}
