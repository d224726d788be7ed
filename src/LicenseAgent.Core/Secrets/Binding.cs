using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>Generations of the bound state: how the next one comes about, and what follows from it.</summary>
internal static class Binding
{
    public static void CommitRotation(
        Turn turn, ConfirmRotationAnswer answer, ImmutableArray<SecretEntry> held)
    {
        AgentState state = turn.State;
        PendingSecret pending = state.Run.Pending!;
        Levels levels = state.Run.Levels with
        {
            MinValidVersion = Math.Max(state.Run.Levels.MinValidVersion, answer.MinValidVersion),
        };
        turn.UpdateRun(run => run with { Levels = levels });
        Dictionary<long, UtcTime> previous = [];
        foreach (PreviousVersion p in answer.Previous)
        {
            previous[p.Version] = p.GraceUntil;
        }

        IEnumerable<SecretEntry> grace = held
            .Where(s => s.State != SecretState.Invalidated && !levels.Forbids(s.Version))
            .Where(s => s.Version < pending.Entry.Version)

            .Where(s => !state.Unreadable.Contains(s.Version))

            // The version before is in GRACE only if the server says so; older ones keep their own end if it is silent.
            .Where(s => s.State != SecretState.Active || previous.ContainsKey(s.Version))
            .Select(s => s with
            {
                State = SecretState.Grace,
                GraceUntil = previous.GetValueOrDefault(s.Version, s.GraceUntil),
            })
            .Where(s => !Retirement.IsProvenOver(turn, s))
            .OrderByDescending(s => s.Version)
            .Take(BoundState.MaxGrace);
        SecretEntry active = pending.Entry with
        {
            State = SecretState.Active,
            ValidFrom = answer.ValidFrom,
            ValidUntil = answer.ValidUntil,
            GraceUntil = answer.GraceUntil,
        };
        Commit(turn, Next(turn, answer.ServerTime) with
        {
            Secrets = [.. grace.OrderBy(s => s.Version), active],
            HighestVersionSeen = Math.Max(Views.Highest(state), active.Version),
        });
    }

    /// <summary>The first generation after enrolment: no secret yet.</summary>
    public static void CommitFirst(Turn turn, UtcTime serverTime) => Commit(turn, Next(turn, serverTime));

    /// <summary>An unfinished generation first; then whatever holds and is not bound.</summary>
    public static bool TryBind(Turn turn)
    {
        AgentState state = turn.State;
        if (state.Tpm != TpmHealth.Ok || !state.CommitGate.IsOpen(turn.Now))
        {
            return false;
        }

        if (state.Unfinished is { } unfinished)
        {
            Commit(turn, unfinished);
            return true;
        }

        if (state.Bound is not { } bound || !Differs(state, bound))
        {
            return false;
        }

        Levels levels = state.Run.Levels;
        long highest = Views.Highest(state);
        Commit(turn, Next(turn, state.Run.Anchor?.ServerTime ?? bound.ServerTime) with
        {
            Secrets =
            [
                .. bound.Secrets
                    .Where(s => s.State == SecretState.Active || !Retirement.IsProvenOver(turn, s))
                    .Where(s => !levels.Forbids(s.Version) || s.Version == highest)
                    .Select(s => levels.Forbids(s.Version) ? s with { State = SecretState.Invalidated } : s),
            ],
        });
        return true;
    }

    public static void OnCommitted(Turn turn, AgentEvent.GenerationCommitted e)
    {
        Activity.Committing committing = Expect.During<Activity.Committing>(turn);
        BoundState? before = turn.State.Bound;
        BoundState next = e.State;
        InvariantBroken.Unless(
            next.Generation == committing.Next.Generation, "Another generation was committed than the one begun.");
        bool rotated = next.Active is { } a
            && (a.Version != before?.Active?.Version || a.IsStagedAs(turn.State.Run.Pending));
        turn.State = turn.State with
        {
            Bound = next,
            Counter = next.Generation,
            Unfinished = null,
            CommitGate = default,
            StorageGate = default,
            Lock = LockAfter(turn.State.Lock, next),
            Unreadable = turn.State.Unreadable.Intersect(next.Secrets.Select(s => s.Version)),
        };
        if (rotated)
        {
            OnRotated(turn, next.Active!);
        }

        ForgetUnheld(turn, before, next);
        turn.UpdateRun(run => run with
        {
            Highest = Math.Max(run.Highest, next.HighestVersionSeen),
            Levels = run.Levels with { Invalidated = StillToBind(run.Levels, next, next.HighestVersionSeen) },
        });
        turn.SaveRun();
        TpmCare.AnchorSoon(turn);
        turn.State = turn.State with { Watch = turn.State.Watch with { MirroredBootMs = null } };
    }

    /// <summary>An unreadable ACTIVE that an order took out of use needs a new one, and no repair.</summary>
    private static LockReason? LockAfter(LockReason? before, BoundState next) => before switch
    {
        LockReason.NotEnrolled => null,
        LockReason.SecretUnreadable when next.Active is null => null,
        _ => before,
    };

    public static void OnFailed(Turn turn, AgentEvent.GenerationFailed e)
    {
        Activity.Committing committing = Expect.During<Activity.Committing>(turn);
        Postpone(turn, committing.Next, e.Recorded);
        if (e.Contradiction)
        {
            // What belongs to the TPM's counter, if anything does, is found as at start.
            turn.State = turn.State with { Unfinished = null, Bound = null, Lock = LockReason.Starting };
            Rotation.AttemptFailed(turn, "state_rollback");
            turn.SaveRun();
        }

        turn.Audit("generation_failed", $"generation-{committing.Next.Generation}", "failed", durable: false,
            ("detail", e.Detail), ("contradiction", e.Contradiction));
        Rotation.CompleteTickets(turn, null, "storage_failed");
    }

    /// <summary>What a finished rotation leaves of the run state.</summary>
    public static RunState AfterRotation(RunState run, UtcTime at) => run with
    {
        Pending = null,
        Intent = null,
        LastRotation = at,
        FailedInARow = 0,
        RejectedInARow = 0,
        CloneSuspectSince = null,
    };

    private static void OnRotated(Turn turn, SecretEntry active)
    {
        int factor = 900 + (int)(turn.Now.Draw(6) * 201);
        turn.UpdateRun(run => AfterRotation(run, turn.TrustedNow) with { RotationFactor = factor });
        turn.State = turn.State with { Lock = null, CheckpointDue = true, RotationGate = default };
        turn.TroubleOver("rotation_rejected");
        turn.Emit(new AgentEffect.CountRotation(Succeeded: true));
        Rotation.CompleteTickets(turn, active.Version, null);
    }

    private static void ForgetUnheld(Turn turn, BoundState? before, BoundState next)
    {
        HashSet<long> held = [.. next.Secrets.Where(s => s.State != SecretState.Invalidated).Select(s => s.Version)];
        if (turn.State.Run.Pending is { } pending)
        {
            held.Add(pending.Entry.Version);
        }

        IEnumerable<long> known = (before?.Secrets ?? []).Select(s => s.Version).Union(turn.State.Loaded)
            .Except(turn.State.Software?.Versions ?? []);
        foreach (long gone in known.Where(v => !held.Contains(v)).Order().ToArray())
        {
            turn.State = turn.State with { Loaded = turn.State.Loaded.Remove(gone) };
            turn.Emit(new AgentEffect.EraseSecret(gone));
        }

        turn.State = turn.State with { Erased = turn.State.Erased.Intersect(held) };
    }

    /// <summary>
    /// An operator's order is done with when its version has left the list. One that was never bound (PENDING) is kept
    /// while none above it is known, or the server could give it out again.
    /// </summary>
    public static ImmutableSortedSet<long> StillToBind(Levels levels, BoundState bound, long highest) =>
    [
        .. levels.Invalidated.Where(v => bound.Secrets.FirstOrDefault(s => s.Version == v) is { } entry
            ? entry.State != SecretState.Invalidated
            : v >= highest),
    ];

    private static void Commit(Turn turn, BoundState next)
    {
        next.CheckInvariants();
        if (!turn.State.UnfinishedIsRecorded || !ReferenceEquals(next, turn.State.Unfinished))
        {
            Record(turn, next);
        }

        turn.Begin(new Activity.Committing(next), new AgentEffect.CommitGeneration(next));
    }

    private static void Record(Turn turn, BoundState next) =>
        turn.Audit("generation_committed", $"generation-{next.Generation}", "ok", durable: true,
            ("generation", next.Generation), ("active", next.Active?.Version ?? 0),
            ("min_valid_version", next.MinValidVersion), ("suspended", next.Suspended));

    private static BoundState Next(Turn turn, UtcTime serverTime)
    {
        AgentState state = turn.State;
        Levels levels = state.Run.Levels;
        return new BoundState(
            BoundState.CurrentFormat, (state.Bound?.Generation ?? state.Counter) + 1, state.Identity!.AgentId, [],
            Views.Highest(state),
            levels.MinValidVersion, levels.GraceLimit, levels.Suspended, levels.Revocations,
            state.Keyset ?? throw new InvariantBroken("A till without a keyset is not enrolled."), serverTime);
    }

    private static bool Differs(AgentState state, BoundState bound)
    {
        Levels levels = state.Run.Levels;
        return levels.Suspended != bound.Suspended || levels.GraceLimit != bound.GraceLimit
            || levels.MinValidVersion != bound.MinValidVersion || levels.Revocations != bound.Revocations
            || state.Keyset != bound.Keyset
            || bound.Secrets.Any(s => s.State != SecretState.Invalidated && levels.Forbids(s.Version));
    }

    /// <param name="recorded">The log tells of it already: the next try adds nothing.</param>
    public static void Postpone(Turn turn, BoundState next, bool recorded) => turn.State = turn.State with
    {
        Unfinished = next,
        UnfinishedIsRecorded = recorded,
        CommitGate = turn.Backoff(turn.State.CommitGate, 7),
    };
}
