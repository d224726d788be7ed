using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>
/// A till whose TPM is lost, where the configuration allows software keys. It begins when secrets in memory no longer
/// do, or an operator asks; each request is the server's to refuse; the next answer to one of the TPM's ends it.
/// </summary>
internal static class SoftwareFallback
{
    /// <summary>A TPM that hangs for an hour is no loss: what is in memory serves, nothing ends so soon.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromHours(24);

    /// <summary>Software keys sign and unwrap: the TPM is lost and they are open.</summary>
    public static bool IsInForce(AgentState state) =>
        state.Settings.FallbackOnLoss && state.Software is not null && Views.IsTpmLost(state);

    /// <summary>While the TPM is lost; of what uses the software keys, check-ins are sent as any other.</summary>
    public static bool TryNext(Turn turn)
    {
        if (!turn.State.Settings.FallbackOnLoss || !Views.IsTpmLost(turn.State)
            || !turn.State.SoftwareGate.IsOpen(turn.Now))
        {
            return false;
        }

        if (turn.State.Software is null)
        {
            return IsDue(turn) && Open(turn, anew: false);
        }

        return !Views.IsSuspended(turn.State) && (TryConfirm(turn) || TryPrepare(turn));
    }

    /// <summary>While the TPM works: keys for its loss are there, and the server knows them.</summary>
    public static bool TryPrepareKeys(Turn turn)
    {
        AgentState state = turn.State;
        bool wanted = state.FallbackKey is null || state.FallbackSpent;
        return state.Settings.FallbackOnLoss && wanted && state.Tpm == TpmHealth.Ok && state.Identity is not null
            && state.Lock != LockReason.Starting && state.SoftwareGate.IsOpen(turn.Now)
            && Open(turn, state.FallbackSpent);
    }

    public static void OnOpened(Turn turn, AgentEvent.SoftwareOpened e)
    {
        Expect.During<Activity.OpeningSoftware>(turn);
        bool lost = Views.IsTpmLost(turn.State);
        if (turn.State.Identity is null)
        {
            // Lost at start: the bound state cannot be judged without the TPM, and is not needed for this.
            turn.State = turn.State with { Identity = e.Identity, Keyset = e.Keyset, Run = e.Run };
            Timekeeping.Start(turn, UtcTime.MinValue, mirror: null);
        }

        ImmutableArray<SecretEntry> secrets = [.. e.Book.Secrets.Where(s => e.Opened.Contains(s.Version))];
        PendingSecret? pending = e.Book.Pending is { } p && e.Opened.Contains(p.Entry.Version) ? p : null;
        SoftwareBook book = e.Book with { Secrets = secrets, Pending = pending };
        bool left = book.Versions.Any();
        turn.State = turn.State with
        {
            FallbackKey = e.Key,
            FallbackSpent = false,
            SoftwareGate = default,
            Software = lost || left ? book : null,
            Loaded = turn.State.Loaded.Union(book.Versions),
            CheckInUrgent = turn.State.CheckInUrgent || lost || left || IsUnregistered(turn.State, e.Key),
        };
        turn.TroubleOver("fallback_unusable");
        if (lost)
        {
            turn.State = turn.State with { CheckInGate = default };
            turn.Audit("software_fallback_begun", e.Key, "ok", durable: true, ("tpm", turn.State.Tpm.ToString()));
        }
    }

    /// <summary>A till without its key file gets nothing; neither does a copy of its disk.</summary>
    public static void OnFailed(Turn turn, AgentEvent.SoftwareFailed e)
    {
        Expect.During<Activity.OpeningSoftware>(turn);
        turn.State = turn.State with { SoftwareGate = turn.Backoff(turn.State.SoftwareGate, 11) };
        turn.Trouble("fallback_unusable", $"The software fallback cannot be used: {e.Detail}");
        Rotation.CompleteTickets(turn, null, "fallback_unusable");
    }

    /// <summary>What the answer to a check-in says of the registered key, and what follows.</summary>
    public static void OnCheckedIn(Turn turn, RequestPlan.CheckIn plan, CheckInAnswer answer)
    {
        AgentState state = turn.State with { FallbackRegistered = answer.Fallback };
        bool unregistered = !state.FallbackSpent && state.FallbackKey is { } key && IsUnregistered(state, key);
        turn.State = state with
        {
            // A key that the server does not take was spent there: another is made. Once a check-in, not in a loop.
            FallbackSpent = state.FallbackSpent || (unregistered && plan.RegistersFallback),
            CheckInUrgent = state.CheckInUrgent || (unregistered && !plan.Software && !plan.RegistersFallback),
        };
        if (plan.Software)
        {
            // Approved: nobody waits out the hour that a refusal costs.
            turn.TroubleOver("downgrade_refused");
            turn.State = turn.State with { SoftwareGate = default };
        }
    }

    /// <summary>The server has answered the TPM: what was made in software is over on both sides.</summary>
    public static void End(Turn turn)
    {
        if (turn.State.Software is not { } book)
        {
            return;
        }

        turn.Audit("software_fallback_ended", turn.State.FallbackKey ?? "", "ok", durable: true,
            ("versions", book.Versions.Count()));
        turn.Emit(new AgentEffect.EraseSoftware([.. book.Versions], Whole: true));
        turn.State = turn.State with
        {
            Software = null,
            SoftwareUnsaved = false,
            FallbackSpent = true,
            Loaded = turn.State.Loaded.Except(book.Versions),
        };
        turn.TroubleOver("downgrade_refused");
        turn.SaveRun();
    }

    /// <summary>Versions out of use by order leave disk and memory.</summary>
    public static void Prune(Turn turn)
    {
        if (turn.State.Software is not { } book)
        {
            return;
        }

        ImmutableArray<long> over = [.. book.Versions.Where(turn.State.Run.Levels.Forbids)];
        if (over.Length > 0)
        {
            Update(turn, b => b with
            {
                Secrets = [.. b.Secrets.Where(s => !over.Contains(s.Version))],
                Pending = b.Pending is { } p && over.Contains(p.Entry.Version) ? null : b.Pending,
            });
            turn.State = turn.State with { Loaded = turn.State.Loaded.Except(over) };
            turn.Emit(new AgentEffect.EraseSoftware(over, Whole: false));
            turn.SaveRun();
        }
    }

    public static void OnPrepared(Turn turn, RotateSecretAnswer answer, ReadOnlyMemory<byte> raw)
    {
        string? why = Rotation.WrongNumber(turn.State, answer)
            ?? (Views.IsOutOfUse(turn.State, answer.SecretVersion) ? "The version was invalidated by order." : null);
        if (why is not null)
        {
            turn.Trouble("server_version_refused", why);
            turn.Audit("version_refused", answer.RequestId, "refused", durable: true,
                ("version", answer.SecretVersion), ("why", why));
            Update(turn, b => b with { Intent = null });
            Failed(turn, "version_refused", 0);
            return;
        }

        turn.UpdateRun(run => run with { Highest = Math.Max(run.Highest, answer.SecretVersion) });
        turn.SaveRun();
        turn.Begin(
            new Activity.Staging(answer, Recovery: false) { Software = true },
            new AgentEffect.StageSecret(answer, raw) { Software = true });
    }

    public static void OnStaged(Turn turn, Activity.Staging staging, AgentEvent.SecretStaged e)
    {
        PendingSecret pending = Rotation.PendingOf(turn, staging, e);
        turn.State = turn.State with { Loaded = turn.State.Loaded.Add(e.Version) };
        turn.Audit("secret_staged", staging.Answer.RequestId, "ok", durable: true,
            ("version", e.Version), ("kcv", staging.Answer.Kcv.ToString()), ("protection", Protections.Software));
        Update(turn, b => b with { Pending = pending, Intent = null });
        turn.SaveRun();
    }

    public static void OnStagingFailed(Turn turn, AgentEvent.StagingFailed e)
    {
        turn.Audit("staging_failed", $"v{e.Version}", "failed", durable: false,
            ("version", e.Version), ("reason", e.RejectReason ?? ""), ("detail", e.Detail));
        Failed(turn, e.RejectReason ?? "staging_failed", 0);
    }

    public static void OnConfirmed(Turn turn, ConfirmRotationAnswer answer)
    {
        if (turn.State.Software?.Pending is not { } pending || pending.Entry.Version != answer.SecretVersion)
        {
            Failed(turn, "wrong_version_confirmed", 0);
            return;
        }

        Dictionary<long, UtcTime> previous = answer.Previous.ToDictionary(p => p.Version, p => p.GraceUntil);
        SecretEntry active = pending.Entry with
        {
            State = SecretState.Active,
            ValidFrom = answer.ValidFrom,
            ValidUntil = answer.ValidUntil,
            GraceUntil = answer.GraceUntil,
        };
        ImmutableArray<SecretEntry> before = turn.State.Software.Secrets;
        ImmutableArray<SecretEntry> grace =
        [
            .. before.Where(s => s.Version != active.Version && previous.ContainsKey(s.Version))
                .Select(s => s with { State = SecretState.Grace, GraceUntil = previous[s.Version] })
                .TakeLast(BoundState.MaxGrace),
        ];
        ImmutableArray<long> over = [.. before.Select(s => s.Version).Except(grace.Select(s => s.Version))];
        turn.Audit("software_rotated", $"v{active.Version}", "ok", durable: true,
            ("version", active.Version), ("protection", Protections.Software));
        Update(turn, _ => new SoftwareBook(null, null, [.. grace, active]));
        turn.UpdateRun(run => run with
        {
            LastRotation = turn.TrustedNow,
            FailedInARow = 0,
            Levels = run.Levels with
            {
                MinValidVersion = Math.Max(run.Levels.MinValidVersion, answer.MinValidVersion),
            },
        });
        turn.SaveRun();
        if (over.Length > 0)
        {
            turn.State = turn.State with { Loaded = turn.State.Loaded.Except(over) };
            turn.Emit(new AgentEffect.EraseSoftware(over, Whole: false));
        }

        turn.State = turn.State with { SoftwareGate = default, CheckInDueBootMs = 0 };
        turn.Emit(new AgentEffect.CountRotation(Succeeded: true));
        Rotation.CompleteTickets(turn, active.Version, null);
    }

    /// <summary>A refusal of a rotation; one of a check-in is like any other check-in's.</summary>
    public static void OnRefused(Turn turn, Activity.Exchanging exchanging, RefusalAnswer refusal)
    {
        long wait = 0;
        switch (refusal.Error)
        {
            case ServerErrors.ClockSkew or ServerErrors.Replay when !exchanging.RepeatedAtOnce:
                turn.State = turn.State with { RepeatsAtOnce = true };
                return;
            case ServerErrors.RateLimited:
                wait = Math.Clamp((refusal.RetryAfterS ?? 0) * 1000L, 0, Timing.SignedDelayMaxMs);
                break;
            case ServerErrors.RequestMismatch or ServerErrors.VersionConflict or ServerErrors.RejectedProof:
                DropPending(turn, refusal.Error.ToLowerInvariant());
                long highest = Views.Highest(turn.State);
                long told = Math.Clamp(
                    refusal.HighestVersion ?? 0, highest, highest + AgentApiLimits.VersionJump);
                turn.UpdateRun(run => run with { Highest = told });
                break;
            case ServerErrors.AgentSuspended:
                turn.UpdateRun(run => run with { Levels = run.Levels with { Suspended = true } });
                turn.State = turn.State with { CheckInUrgent = true };
                break;
            case ServerErrors.CloneSuspect or ServerErrors.DowngradeRefused or ServerErrors.CertificateExpired
                or ServerErrors.AgentUnknown:
                Refusals.Note(turn, refusal.Error);
                wait = Timing.RefusedRetryMs;
                break;
        }

        Failed(turn, refusal.Error.ToLowerInvariant(), wait);
        turn.SaveRun();
    }

    /// <summary>A refused check-in was refused for all; the next one that is not opens the way again.</summary>
    public static void Hold(Turn turn)
    {
        turn.State = turn.State with
        {
            SoftwareGate = turn.State.SoftwareGate with { NotBeforeBootMs = turn.Now.BootMs + Timing.RefusedRetryMs },
        };
        Rotation.CompleteTickets(turn, null, "downgrade_refused");
    }

    public static void Failed(Turn turn, string why, long atLeastMs)
    {
        turn.UpdateRun(run => run with { FailedInARow = run.FailedInARow + 1 });
        RetryGate gate = turn.Backoff(turn.State.SoftwareGate, 11);
        turn.State = turn.State with
        {
            SoftwareGate = gate with { NotBeforeBootMs = Math.Max(gate.NotBeforeBootMs, turn.Now.BootMs + atLeastMs) },
        };
        turn.Emit(new AgentEffect.CountRotation(Succeeded: false));
        Rotation.CompleteTickets(turn, null, why);
    }

    private static bool Open(Turn turn, bool anew)
    {
        turn.Begin(new Activity.OpeningSoftware(), new AgentEffect.OpenSoftware(anew));
        return true;
    }

    private static bool IsDue(Turn turn)
    {
        AgentState state = turn.State;
        AgentMode mode = Views.Mode(state, turn.TrustedNow);
        bool silent = state.Run.LastContact is not { } contact || turn.TrustedNow - contact >= Patience;
        return mode is AgentMode.Locked or AgentMode.Exhausted || silent || state.RotateTickets.Length > 0;
    }

    private static bool TryConfirm(Turn turn)
    {
        if (turn.State.Software!.Pending is not { } pending)
        {
            return false;
        }

        bool late = !pending.ConfirmSent && turn.TrustedNow >= pending.ConfirmBy;
        if (late || turn.TrustedNow >= pending.Entry.GraceUntil)
        {
            DropPending(turn, "expired");
            turn.SaveRun();
            return false;
        }

        if (!pending.ConfirmSent)
        {
            pending = pending with { ConfirmSent = true };
            Update(turn, b => b with { Pending = pending });
            turn.SaveRun();
        }

        turn.Send(new RequestPlan.Confirm(pending.ConfirmRequestId, pending) { Software = true });
        return true;
    }

    private static bool TryPrepare(Turn turn)
    {
        AgentState state = turn.State;
        SecretEntry? active = Views.SoftwareActive(state);
        bool due = active is null || state.RotateTickets.Length > 0
            || state.Software!.Intent is not null || turn.TrustedNow >= Views.DueAfter(state, active);
        if (!due)
        {
            return false;
        }

        SecretEntry? current = active ?? Views.Active(state);
        RotationIntent? intent = state.Software!.Intent;
        if (intent is null || intent.Current != (current?.Version ?? 0))
        {
            intent = new RotationIntent(
                turn.Now.NewRequestId(turn.TrustedNow, 7), current?.Version ?? 0, current?.Kcv.ToString() ?? "",
                RotationReasons.TpmLost);
            Update(turn, b => b with { Intent = intent });
            turn.Audit("rotation_started", intent.RequestId, "ok", durable: false,
                ("reason", intent.Reason), ("current", intent.Current), ("protection", Protections.Software));
            turn.SaveRun();
        }

        turn.Send(new RequestPlan.Prepare(intent.RequestId, intent, Views.Highest(state)) { Software = true });
        return true;
    }

    private static void DropPending(Turn turn, string why)
    {
        if (turn.State.Software?.Pending is { } pending)
        {
            long version = pending.Entry.Version;
            turn.Audit("pending_dropped", pending.ConfirmRequestId, "ok", durable: true,
                ("version", version), ("why", why));
            turn.State = turn.State with { Loaded = turn.State.Loaded.Remove(version) };
            turn.Emit(new AgentEffect.EraseSoftware([version], Whole: false));
        }

        Update(turn, b => b with { Pending = null, Intent = null });
    }

    private static bool IsUnregistered(AgentState state, string key) =>
        state.FallbackRegistered is { } registered && registered != key;

    private static void Update(Turn turn, Func<SoftwareBook, SoftwareBook> change) => turn.State = turn.State with
    {
        Software = change(turn.State.Software ?? SoftwareBook.Empty),
        SoftwareUnsaved = true,
    };
}
