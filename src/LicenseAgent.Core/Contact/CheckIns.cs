using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>The regular exchange: report, directives as levels, revocations, witness.</summary>
internal static class CheckIns
{
    public static bool TryUrgent(Turn turn) => turn.State.CheckInUrgent && TrySend(turn);

    public static bool TryRegular(Turn turn) =>
        turn.Now.BootMs >= turn.State.CheckInDueBootMs && TrySend(turn);

    /// <summary>Each answer carries every directive that holds and replaces what held before.</summary>
    public static void OnAnswered(
        Turn turn, RequestPlan.CheckIn plan, CheckInAnswer answer, ReadOnlyMemory<byte> raw)
    {
        long above = answer.Directives.OfType<RotateNowDirective>().Select(d => d.Above).DefaultIfEmpty().Max();
        bool hadActive = Views.Active(turn.State) is not null;
        Levels before = turn.State.Run.Levels;
        Levels levels = before with
        {
            Suspended = answer.Directives.OfType<SuspendDirective>().Any(),
            GraceLimit = answer.Directives.OfType<LimitGraceDirective>().Select(d => (UtcTime?)d.Until).Min(),
            MinValidVersion = answer.Directives.OfType<InvalidateBelowDirective>()
                .Select(d => d.Version).Append(before.MinValidVersion).Max(),
        };
        if (answer.Revocations is { } revoked && revoked.Version > (before.Revocations?.Version ?? 0))
        {
            turn.Emit(new AgentEffect.SaveRevocations(raw));
            levels = levels with { Revocations = new FileReference(revoked.Version, Digest32.Sha256(raw.Span)) };
            turn.Audit("revocations_received", $"revocations-{revoked.Version}", "ok", durable: false,
                ("version", revoked.Version), ("licenses", revoked.LicenseIds.Count));
        }

        AuditChanges(turn, before, levels);
        turn.State = turn.State with
        {
            RotateAbove = above,
            RotationGate = above > turn.State.RotateAbove
                ? turn.State.RotationGate with { PatientUntilBootMs = 0 }
                : turn.State.RotationGate,
            ReEnrollAsked = answer.Directives.OfType<ReEnrollDirective>().Any(),
            RepairReported = true,
            CheckInUrgent = turn.State.CheckInUrgent && !StillTrue(turn.State, plan),
            CheckInGate = default,
        };
        Keysets.OnVersionTold(turn, answer.KeysetVersion);

        // It reported what list is held, so the one that is missing came with this answer.
        turn.TroubleOver("revocations_missing");
        Witnessed(turn, answer.Witness);
        SoftwareFallback.OnCheckedIn(turn, plan, answer);
        turn.UpdateRun(run => run with { Levels = levels });
        DropForbiddenPending(turn, levels);
        turn.Emit(new AgentEffect.KeepReceipt(raw));
        turn.SaveRun();
        EraseForbidden(turn, levels);
        SoftwareFallback.Prune(turn);
        if (hadActive && Views.Active(turn.State) is null)
        {
            // Nothing left: no reason to wait.
            turn.State = turn.State with { RotationGate = default };
        }

        ScheduleNext(turn, answer.NextCheckInS);
    }

    public static void Failed(Turn turn, string why, long waitMs, long patienceMs)
    {
        if (turn.State.Lock is not null)
        {
            // A repair begins with a check-in, and so does the rotation somebody waits for.
            Rotation.CompleteTickets(turn, null, why);
        }

        RetryGate gate = turn.Backoff(turn.State.CheckInGate, 9);
        turn.State = turn.State with
        {
            CheckInGate = gate.NotBefore(turn.Now.BootMs + waitMs) with
            {
                PatientUntilBootMs = turn.Now.BootMs + patienceMs,
            },
        };
    }

    /// <summary>Whether what was reported still holds; an operator may have changed it meanwhile.</summary>
    private static bool StillTrue(AgentState state, RequestPlan.CheckIn plan) =>
        plan.ActiveVersion == ActiveVersion(state) && plan.HeldVersions.SequenceEqual(Held(state));

    private static long ActiveVersion(AgentState state) =>
        (Views.SoftwareActive(state) ?? Views.Active(state))?.Version ?? 0;

    private static IEnumerable<long> Held(AgentState state) => Views.Usable(state).Select(u => u.Entry.Version);

    private static bool TrySend(Turn turn)
    {
        AgentState state = turn.State;
        bool locked = state.Lock is LockReason.Starting or LockReason.NotEnrolled
            or LockReason.TpmUnavailable or LockReason.TpmReplaced or LockReason.IdentityDamaged
            or LockReason.CertificateDamaged;
        bool software = SoftwareFallback.IsInForce(state);
        bool mute = !software && (locked || state.Tpm != TpmHealth.Ok);
        if (mute || state.Identity is null || !turn.IsOpen(state.CheckInGate))
        {
            return false;
        }

        ModeFacts facts = Views.Facts(state);
        AgentMode mode = facts.At(turn.TrustedNow);
        RequestPlan.CheckIn plan = new(
            turn.Now.NewRequestId(turn.TrustedNow, 6), ModeText.Of(mode),
            mode == AgentMode.Locked && facts.ReasonWhenLocked is { } reason ? ModeText.Of(reason) : null,
            ActiveVersion(state), [.. Held(state)],
            state.Run.Pending is { ConfirmSent: true }, Views.TpmReport(state),
            state.Run.Levels.Revocations?.Version ?? 0, state.Keyset?.Version ?? 0, state.Run.Witnessed)
        {
            Software = software,
            RegistersFallback = !software && state.FallbackKey is { } key && !state.FallbackSpent
                && state.FallbackRegistered is { } registered && registered != key,
        };
        turn.Send(plan);
        return true;
    }

    private static void AuditChanges(Turn turn, Levels before, Levels after)
    {
        if (before.Suspended != after.Suspended)
        {
            turn.Audit(after.Suspended ? "agent_suspended" : "agent_resumed", "directive", durable: true);
        }

        if (before.GraceLimit != after.GraceLimit)
        {
            turn.Audit("grace_limited", "directive", "ok", durable: true,
                ("until", after.GraceLimit?.ToString() ?? "lifted"));
        }

        if (before.MinValidVersion != after.MinValidVersion)
        {
            turn.Audit("secrets_invalidated", $"below-{after.MinValidVersion}", "ok", durable: true,
                ("below", after.MinValidVersion));
        }
    }

    private static void Witnessed(Turn turn, Witness witness)
    {
        if (witness.Conflict)
        {
            turn.Trouble("audit_regressed", $"The server witnessed another audit log at record {witness.Seq}. "
                + "Run license-agent-cli audit verify and look for who touched the log or the disk.");
            return;
        }

        turn.TroubleOver("audit_regressed");
        turn.UpdateRun(run => run with { Witnessed = new AuditPoint(witness.Seq, witness.Head) });
    }

    private static void DropForbiddenPending(Turn turn, Levels levels)
    {
        if (turn.State.Run.Pending is { } pending && levels.Forbids(pending.Entry.Version))
        {
            Rotation.DropPending(turn, "invalidated");
            Rotation.GiveBack(turn, pending.Entry.Version, RejectReasons.Invalidated);
            turn.State = turn.State with { RotationGate = default };
        }
    }

    private static void EraseForbidden(Turn turn, Levels levels)
    {
        foreach (SecretEntry entry in turn.State.Bound?.Secrets ?? [])
        {
            if (levels.Forbids(entry.Version) && !turn.State.Erased.Contains(entry.Version))
            {
                turn.State = turn.State with
                {
                    Loaded = turn.State.Loaded.Remove(entry.Version),
                    Erased = turn.State.Erased.Add(entry.Version),
                };
                turn.Emit(new AgentEffect.EraseSecret(entry.Version));
            }
        }
    }

    private static void ScheduleNext(Turn turn, int serverSeconds)
    {
        long interval = (long)Views.CheckInInterval(turn.State).TotalMilliseconds;
        long max = long.MaxValue;
        if (serverSeconds > 0)
        {
            interval = serverSeconds * 1000L;
            max = Timing.SignedDelayMaxMs;
        }

        if (Views.Mode(turn.State, turn.TrustedNow) == AgentMode.Locked)
        {
            interval = Math.Min(interval, Timing.LockedCheckInMs);
        }

        long wait = Math.Min(Timing.Spread(interval, turn.Now.Draw(10)), max);
        turn.State = turn.State with { CheckInDueBootMs = turn.Now.BootMs + wait };
    }
}
