using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>From the start of the process to the first secret in memory.</summary>
internal static class Startup
{
    public static void OnStarted(Turn turn)
    {
        InvariantBroken.Unless(turn.State.Clock == default, "A process starts once.");
        turn.State = turn.State with
        {
            Clock = new TrustedClock(turn.Now.BootMs, turn.State.Settings.BuildTime),
            Watch = turn.State.Watch with { AwakeMs = turn.Now.AwakeMs },
        };
    }

    public static void OnNotEnrolled(Turn turn)
    {
        Expect.During<Activity.Loading>(turn);
        Readable(turn);
        turn.State = turn.State with { Lock = LockReason.NotEnrolled, Tpm = TpmHealth.Unknown };
    }

    public static void OnEnrolling(Turn turn)
    {
        Expect.During<Activity.Loading>(turn);
        Readable(turn);
        turn.State = turn.State with { Lock = LockReason.NotEnrolled, EnrollmentResumable = true };
    }

    /// <summary>
    /// Nobody can say any more who this till is, or it cannot show it to the server: LOCKED, with nothing touched,
    /// until an operator enrols it anew. A certificate put back is taken at the next look.
    /// </summary>
    public static void OnIdentityDamaged(Turn turn, AgentEvent.FoundIdentityDamaged e)
    {
        Expect.During<Activity.Loading>(turn);
        RetryGate next = turn.Backoff(turn.State.LoadGate, 5);
        Readable(turn);
        if (turn.State.Lock != e.Reason)
        {
            turn.Audit(ModeText.Of(e.Reason), "", "failed", durable: true);
        }

        turn.State = turn.State with { Lock = e.Reason, Tpm = TpmHealth.Unknown, LoadGate = next };
    }

    public static void OnStateLoaded(Turn turn, AgentEvent.StateLoaded e)
    {
        Expect.During<Activity.Loading>(turn);
        turn.State = turn.State with
        {
            Identity = e.Identity,
            Bound = e.Bound,
            Keyset = e.NewerKeyset ?? e.Bound.Keyset,
            KeysetUpdateBy = e.KeysetUpdateBy,
            Run = Reconcile(e.Run, e.Bound),
            Lock = null,
            Unfinished = null,
            Unreadable = [],
            Tpm = TpmHealth.Ok,
            TpmGate = default,
        };
        Readable(turn);
        Timekeeping.Start(turn, e.Bound.ServerTime, e.Mirror);
        if (e.RevocationsLost)
        {
            turn.Audit("revocations_missing", $"generation-{e.Bound.Generation}", "failed", durable: true);
            turn.Trouble("revocations_missing", "The list of revoked licenses is gone from the disk or was put back: "
                + "revoked licenses validate until the next check-in brings it. Look for who touched the disk.");
        }

        TpmCare.AnchorSoon(turn);
    }

    /// <summary>
    /// The identity is good, the state is not this TPM's: LOCKED, and repaired by the server's word. Highest counts
    /// from wherever it is known, so that nothing older is ever accepted.
    /// </summary>
    public static void OnStateUnusable(Turn turn, AgentEvent.StateUnusable e)
    {
        Expect.During<Activity.Loading>(turn);
        long highest = Math.Max(e.Run.Highest, e.SlotHighest);
        RunState run = e.Run with
        {
            Intent = e.Run.Intent is { Reason: RotationReasons.Recovery } ? e.Run.Intent : null,

            // A staged repair goes on; one of an older run state must not: its confirm was answered once before.
            Pending = e.Run.Pending is { Recovery: true } p && p.Entry.Version >= highest ? p : null,
            Highest = highest,
        };
        turn.State = turn.State with
        {
            Identity = e.Identity,
            Keyset = e.Keyset,
            Bound = null,
            Counter = e.Counter,
            Run = run,
            Lock = e.Reason,
            Unfinished = null,
            Unreadable = [],
            RepairReported = false,
            CheckInUrgent = true,
            Tpm = TpmHealth.Ok,
            TpmGate = default,
        };
        Readable(turn);
        Timekeeping.Start(turn, UtcTime.MinValue, e.Mirror);
        turn.Audit("state_unusable", $"generation-{e.Counter}", "failed", durable: true,
            ("reason", ModeText.Of(e.Reason)), ("counter", e.Counter));
    }

    /// <summary>A disk that does not read may read later; the state stays as it is until it does.</summary>
    public static void OnLoadFailed(Turn turn, AgentEvent.LoadFailed e)
    {
        Activity failed = turn.State.Activity;
        InvariantBroken.Unless(
            failed is Activity.Loading or Activity.LoadingSecrets or Activity.LoadingPrevious,
            $"A load failed during {failed}.");
        turn.End();
        turn.State = turn.State with { LoadGate = turn.Backoff(turn.State.LoadGate, 5) };
        if (failed is Activity.LoadingPrevious)
        {
            Rotation.AttemptFailed(turn, "storage_failed");
        }

        turn.Trouble("state_unreadable", $"The state directory cannot be read ({e.Detail}). Repair the disk.");
    }

    /// <summary>What could not be read has been, or is of no more use.</summary>
    public static void Readable(Turn turn)
    {
        turn.State = turn.State with { LoadGate = default };
        turn.TroubleOver("state_unreadable");
    }

    /// <summary>Reading the state is tried until it succeeds.</summary>
    public static bool TryLoad(Turn turn)
    {
        if (turn.State.Lock is not (LockReason.Starting or LockReason.CertificateDamaged)
            || turn.State.Activity is not Activity.Idle || !turn.State.LoadGate.IsOpen(turn.Now))
        {
            return false;
        }

        turn.Begin(new Activity.Loading(), new AgentEffect.LoadState());
        return true;
    }

    public static void OnSecretsLoaded(Turn turn, AgentEvent.SecretsLoaded e)
    {
        Expect.During<Activity.LoadingSecrets>(turn);
        Readable(turn);
        turn.State = turn.State with
        {
            Loaded = turn.State.Loaded.Union(e.Opened.Where(v => Views.IsWanted(turn.State, v))),
            Unreadable = turn.State.Unreadable.Union(e.Unreadable),
        };
        foreach (long version in e.Opened.Where(v => !turn.State.Loaded.Contains(v)))
        {
            // Taken out of use while it was being read: the order came first.
            turn.Emit(new AgentEffect.EraseSecret(version));
        }

        foreach (long version in e.Unreadable)
        {
            turn.Audit("secret_unreadable", $"v{version}", "failed", durable: false, ("version", version));
            if (turn.State.Run.Pending?.Entry.Version == version)
            {
                // Its file is gone or damaged: the server gives the same version again.
                turn.UpdateRun(run => run with { Pending = null });
            }

            if (Views.Active(turn.State)?.Version == version)
            {
                LockForRepair(turn, LockReason.SecretUnreadable);
            }
        }
    }

    /// <summary>
    /// Secrets that should be in memory and are not, one at a time: ACTIVE, then the newest of the rest while serving.
    /// </summary>
    public static bool TryLoadSecrets(Turn turn)
    {
        if (turn.State.Tpm != TpmHealth.Ok || !turn.State.LoadGate.IsOpen(turn.Now))
        {
            return false;
        }

        if (FirstWanted(turn.State, turn.TrustedNow) is not { } first)
        {
            return false;
        }

        ImmutableArray<SecretEntry> next = [first];
        turn.Begin(new Activity.LoadingSecrets(next), new AgentEffect.LoadSecrets(next));
        return true;
    }

    /// <summary>ACTIVE cannot be used although the state is good: the same repair as for a lost state.</summary>
    public static void LockForRepair(Turn turn, LockReason reason) => turn.State = turn.State with
    {
        Lock = reason,
        RepairReported = false,
        CheckInUrgent = true,
    };

    private static SecretEntry? FirstWanted(AgentState state, UtcTime trustedNow) => Views.Unopened(state)

        // ACTIVE is loaded even when its time is over: contact may prove that it is not.
        .Where(s => s.State == SecretState.Active || trustedNow < s.GraceUntil)
        .MaxBy(s => (s.State == SecretState.Active, s.Version));

    /// <summary>
    /// The run state may be older than the bound one (put back, or a crash between the two writes): what it says of
    /// versions the bound state has passed is dropped, and of restrictions the stricter holds.
    /// </summary>
    private static RunState Reconcile(RunState run, BoundState bound)
    {
        long active = bound.Active?.Version ?? 0;
        if (bound.Active is { } committed && committed.IsStagedAs(run.Pending))
        {
            // A crash between the generation and this file.
            run = Binding.AfterRotation(run, committed.ValidFrom);
        }

        long highest = Math.Max(run.Highest, bound.HighestVersionSeen);

        // A repair of an unreadable ACTIVE stages that very version.
        PendingSecret? pending = run.Pending is { } p
            && p.Entry.Version >= highest && p.Entry.Version >= bound.MinValidVersion
            && (bound.Secrets.All(s => s.Version != p.Entry.Version) || (p.Recovery && p.Entry.Version == active))
            ? p
            : null;
        RotationIntent? intent = run.Intent is { } i && i.Current == active ? i : null;
        Levels levels = new(
            run.Levels.Suspended || bound.Suspended,
            Earlier(run.Levels.GraceLimit, bound.GraceLimit),
            Math.Max(run.Levels.MinValidVersion, bound.MinValidVersion),
            (run.Levels.Revocations?.Version ?? 0) > (bound.Revocations?.Version ?? 0)
                ? run.Levels.Revocations
                : bound.Revocations,

            // A crash between the generation and this file leaves orders here that are bound already.
            Binding.StillToBind(run.Levels, bound, highest));
        return run with
        {
            Pending = pending,
            Intent = intent,
            Highest = highest,
            Levels = levels,
        };
    }

    private static UtcTime? Earlier(UtcTime? a, UtcTime? b) =>
        (a, b) switch
        {
            ({ } x, { } y) => UtcTime.Min(x, y),
            _ => a ?? b,
        };
}

/// <summary>Ends the activity an event belongs to, and refuses an event that belongs to none.</summary>
internal static class Expect
{
    public static T During<T>(Turn turn)
        where T : Activity
    {
        if (turn.State.Activity is not T activity)
        {
            throw new InvariantBroken($"An event of {typeof(T).Name} came during {turn.State.Activity}.");
        }

        turn.End();
        return activity;
    }
}
