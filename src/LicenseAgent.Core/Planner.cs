using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// What to begin next when nothing is under way, most pressing first. Called after every event, so that no condition
/// is ever waited for: it is looked at.
/// </summary>
internal static class Planner
{
    public static void Advance(Turn turn)
    {
        if (turn.State.RunUnsaved)
        {
            if (!turn.State.StorageGate.IsOpen(turn.Now))
            {
                _ = BeginWhatChangesNothing(turn) || TpmCare.TryAnchor(turn);
                Commands.AnswerTicketsThatCannotSucceed(turn);
                Renewals.AnswerThoseThatCannotSucceed(turn);
                return;
            }

            turn.SaveRun();
        }

        if (!BeginWhatChangesNothing(turn))
        {
            _ = TpmCare.TryProbe(turn)
                || Commands.TryResumeEnrollment(turn)
                || Binding.TryBind(turn)
                || Keysets.TryFetch(turn)
                || CheckIns.TryUrgent(turn)
                || Certificates.TryRenew(turn)
                || SoftwareFallback.TryNext(turn)
                || Rotation.TryReject(turn)
                || Rotation.TryConfirm(turn)
                || Renewals.TrySend(turn)
                || Rotation.TryPrepare(turn)
                || CheckIns.TryRegular(turn)
                || SoftwareFallback.TryPrepareKeys(turn)
                || TpmCare.TryAnchor(turn);
        }

        Commands.AnswerTicketsThatCannotSucceed(turn);
        Renewals.AnswerThoseThatCannotSucceed(turn);
        Retirement.EraseProvenPast(turn);
        if (turn.State.Identity is not null && turn.Now.BootMs >= turn.State.SaveDueBootMs)
        {
            turn.SaveRun();
        }
    }

    /// <summary>Reading needs no disk that can be written: a full one must not keep secrets from serving.</summary>
    private static bool BeginWhatChangesNothing(Turn turn) =>
        turn.State.Activity is not Activity.Idle
        || Startup.TryLoad(turn)
        || turn.State.Lock == LockReason.Starting
        || TpmCare.TryFirstMirror(turn)
        || Startup.TryLoadSecrets(turn);

    public static long NextWakeBootMs(AgentState state, Now now)
    {
        long wake = now.BootMs + Timing.HighWaterEveryMs;
        foreach (long gate in (ReadOnlySpan<long>)
        [
            state.TpmGate.NotBeforeBootMs, state.RotationGate.NotBeforeBootMs, state.CheckInGate.NotBeforeBootMs,
            state.StorageGate.NotBeforeBootMs, state.LoadGate.NotBeforeBootMs, state.CommitGate.NotBeforeBootMs,
            state.SoftwareGate.NotBeforeBootMs, state.CertificateGate.NotBeforeBootMs, state.KeysetGateBootMs,
            state.RotationGate.PatientUntilBootMs, state.CheckInGate.PatientUntilBootMs,
            state.CheckInDueBootMs, state.AnchorDueBootMs, state.SaveDueBootMs,
        ])
        {
            wake = gate > now.BootMs ? Math.Min(wake, gate) : wake;
        }

        UtcTime trusted = state.Clock.At(now.BootMs);
        foreach (UtcTime time in Moments(state))
        {
            if (time > trusted)
            {
                wake = Math.Min(wake, now.BootMs + (time.UnixMs - trusted.UnixMs));
            }
        }

        return wake;
    }

    /// <summary>Trusted times at which something changes although nothing happens.</summary>
    private static IEnumerable<UtcTime> Moments(AgentState state)
    {
        ModeFacts facts = Views.Facts(state);
        if (facts is { ValidUntil: { } valid, EffectiveEnd: { } end })
        {
            yield return valid;
            yield return end;
            yield return valid + Alerts.DegradedTooLong;
        }

        if (facts.LastContact is { } contact)
        {
            yield return contact + state.Settings.OfflineAfter;
        }

        if (Views.RotationDue(state) is { } due)
        {
            yield return due;
        }

        if (state.Run.Pending is { } pending)
        {
            yield return pending.ConfirmBy;
            yield return pending.Entry.GraceUntil;
        }

        foreach (SecretEntry entry in state.Bound?.Secrets ?? [])
        {
            yield return entry.GraceUntil;
        }
    }
}
