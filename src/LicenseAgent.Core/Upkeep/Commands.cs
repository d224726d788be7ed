using System.Collections.Immutable;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>What operators ask for.</summary>
internal static class Commands
{
    /// <summary>Answered when the rotation is over; an operator who insists does not wait out a back-off.</summary>
    public static void OnRotate(Turn turn, AgentEvent.RotateAsked e)
    {
        AgentState state = turn.State;
        if (state.RunUnsaved)
        {
            // Perhaps room was made a moment ago: the disk is tried in this step, and says itself if not.
            state = state with { StorageGate = state.StorageGate with { NotBeforeBootMs = turn.Now.BootMs } };
        }

        string? refusal = WhyNoRotation(state with { RunUnsaved = false })
            ?? (Rotation.CanTakeTicket(state) ? null : "too_many_waiting");
        if (refusal is not null)
        {
            turn.Emit(new AgentEffect.CompleteRotate(e.Ticket, null, refusal));
            return;
        }

        turn.State = state with
        {
            RotateTickets = state.RotateTickets.Add(e.Ticket),
            RotationGate = default,
            SoftwareGate = default,
        };
    }

    /// <summary>Nobody waits for a rotation that something other than the server holds up.</summary>
    public static void AnswerTicketsThatCannotSucceed(Turn turn)
    {
        if (turn.State.RotateTickets.Length > 0 && WhyNoRotation(turn.State) is { } why)
        {
            Rotation.CompleteTickets(turn, null, why);
        }
    }

    /// <summary>Takes a version out of use at once; binding follows when the TPM is there.</summary>
    public static void OnInvalidate(Turn turn, AgentEvent.InvalidateAsked e)
    {
        if (RefuseInvalidation(turn, e) is { } refusal)
        {
            turn.Emit(new AgentEffect.CompleteInvalidate(e.Ticket, e.Version, refusal));
            return;
        }

        turn.Audit("secret_invalidated", $"v{e.Version}", "ok", durable: true,
            ("version", e.Version), ("by", "operator"));
        bool isPending = turn.State.Run.Pending?.Entry.Version == e.Version;
        turn.UpdateRun(run => run with
        {
            Levels = run.Levels with { Invalidated = run.Levels.Invalidated.Add(e.Version) },
        });
        if (isPending)
        {
            Rotation.DropPending(turn, "invalidated");
            Rotation.GiveBack(turn, e.Version, RejectReasons.Invalidated);
        }
        else
        {
            turn.Emit(new AgentEffect.EraseSecret(e.Version));
        }

        SoftwareFallback.Prune(turn);
        turn.SaveRun();
        turn.State = turn.State with
        {
            Loaded = turn.State.Loaded.Remove(e.Version),
            CheckInUrgent = true,
            RotationGate = default,
        };
        turn.Emit(new AgentEffect.CompleteInvalidate(e.Ticket, e.Version, null));
    }

    /// <summary>
    /// An order that outlives restarts. It can only take back what the configuration permits, and give back what it
    /// took.
    /// </summary>
    public static void OnDegraded(Turn turn, AgentEvent.DegradedAsked e)
    {
        string? refusal = turn.State switch
        {
            { Settings.DegradedAllowed: false } => "not_permitted",
            { Identity: null } => "not_enrolled",
            _ => null,
        };
        if (refusal is null)
        {
            turn.Audit("degraded_ordered", "", "ok", durable: true, ("allowed", e.Allowed));
            turn.UpdateRun(run => run with { DegradedForbidden = !e.Allowed });
            turn.SaveRun();
        }

        turn.Emit(new AgentEffect.CompleteDegraded(e.Ticket, e.Allowed, refusal));
    }

    public static void OnEnroll(Turn turn, AgentEvent.EnrollAsked e)
    {
        AgentState state = turn.State;
        string? refusal = state switch
        {
            { Identity: not null } when !e.Replace => "already_enrolled",
            { EnrollmentResumable: true } when !e.Replace => "enrolment_under_way",
            { Identity: not null, Tpm: TpmHealth.Ok } when !e.Force => "tpm_works",
            { Activity: not Activity.Idle } => "busy",
            { Lock: LockReason.Starting } => "not_ready",
            _ when e.Replace => null,
            { Lock: LockReason.IdentityDamaged or LockReason.CertificateDamaged } => ModeText.Of(state.Lock.Value),
            { Lock: not LockReason.NotEnrolled } => "not_ready",
            _ => null,
        };
        if (refusal is not null)
        {
            turn.Emit(new AgentEffect.CompleteEnroll(e.Ticket, refusal, null));
            return;
        }

        turn.Begin(new Activity.Enrolling(e.Ticket), new AgentEffect.Enroll(e.Ticket));
    }

    /// <summary>An enrolment that was begun goes on by itself, over restarts, until the server has answered.</summary>
    public static bool TryResumeEnrollment(Turn turn)
    {
        if (!turn.State.EnrollmentResumable || turn.State.Identity is not null
            || !turn.State.RotationGate.IsOpen(turn.Now))
        {
            return false;
        }

        turn.Begin(new Activity.Enrolling(null), new AgentEffect.Enroll(null));
        return true;
    }

    public static void OnEnrolled(Turn turn, AgentEvent.Enrolled e)
    {
        Activity activity = turn.State.Activity;
        InvariantBroken.Unless(
            activity is Activity.Enrolling or Activity.Loading, $"Enrolled during {activity}.");
        turn.End();
        ForgetIdentity(turn);
        Startup.Readable(turn);
        turn.State = turn.State with
        {
            Identity = e.Identity,
            Keyset = e.Keyset,
            Counter = e.Counter,
            Tpm = TpmHealth.Ok,
            TpmDetail = "",
            TpmGate = default,
            Lock = LockReason.NotEnrolled,
            EnrollmentResumable = false,
            RotationGate = default,
        };

        // Found at start: the boot it was sent in may be another one.
        long sent = activity is Activity.Loading ? turn.Now.BootMs : e.SentBootMs;
        Timekeeping.Anchor(turn, e.ServerTime, sent);
        turn.UpdateRun(run => run with
        {
            Highest = Math.Max(run.Highest, e.Highest),

            // Numbers of an earlier enrolment are burned: not even the highest is ever accepted again.
            Levels = run.Levels with { MinValidVersion = Math.Max(run.Levels.MinValidVersion, e.Highest + 1) },
        });
        if (activity is Activity.Enrolling enrolling)
        {
            AnswerEnroll(turn, enrolling, null, null);
        }

        Binding.CommitFirst(turn, e.ServerTime);
    }

    public static void OnEnrollmentFailed(Turn turn, AgentEvent.EnrollmentFailed e)
    {
        Activity.Enrolling enrolling = Expect.During<Activity.Enrolling>(turn);
        turn.State = turn.State with
        {
            EnrollmentResumable = e.Resumable,
            RotationGate = turn.Backoff(turn.State.RotationGate, 8),
        };
        if (e.Begun)
        {
            ForgetIdentity(turn);
        }

        AnswerEnroll(turn, enrolling, e.Reason, e.Detail);
    }

    /// <summary>
    /// A new enrolment has taken the place of this one: its keys are gone from the TPM, and the server ends its
    /// versions. What was seen and forbidden stays: numbers never go down.
    /// </summary>
    private static void ForgetIdentity(Turn turn)
    {
        AgentState state = turn.State;
        if (state.Identity is null)
        {
            return;
        }

        IEnumerable<long> held = (state.Bound?.Secrets ?? []).Select(s => s.Version).Union(state.Loaded);
        foreach (long version in held.Order().ToArray())
        {
            turn.Emit(new AgentEffect.EraseSecret(version));
        }

        turn.UpdateRun(run => run with
        {
            Intent = null,
            Pending = null,
            Reject = null,
            Witnessed = null,
            LastContact = null,
            CloneSuspectSince = null,
            Highest = Views.Highest(state),
        });
        turn.State = turn.State with
        {
            Identity = null,
            Bound = null,
            Unfinished = null,
            Loaded = [],
            Unreadable = [],
            Erased = [],
            Software = null,
            FallbackKey = null,
            FallbackRegistered = null,
            Lock = LockReason.NotEnrolled,
            Tpm = TpmHealth.Unknown,
            TpmDetail = "",
        };
    }

    public static void AnswerEnroll(Turn turn, Activity.Enrolling enrolling, string? refusedBecause, string? detail)
    {
        if (enrolling.Ticket is { } ticket)
        {
            turn.Emit(new AgentEffect.CompleteEnroll(ticket, refusedBecause, detail));
        }
    }

    private static string? WhyNoRotation(AgentState state) => state switch
    {
        // Lost at start, the identity is on the disk and was not judged yet: that is not the reason.
        { Lock: LockReason.IdentityDamaged or LockReason.CertificateDamaged } => ModeText.Of(state.Lock.Value),
        { Identity: null, Lock: not (LockReason.TpmUnavailable or LockReason.TpmReplaced) }
            when !(state.Settings.FallbackOnLoss && Views.IsTpmLost(state)) => "not_enrolled",
        _ when Views.IsSuspended(state) => "suspended",
        _ when Views.IsTpmLost(state) && state.Settings.FallbackOnLoss && !state.RunUnsaved => null,
        { Tpm: TpmHealth.Replaced } => ModeText.Of(LockReason.TpmReplaced),
        _ when Views.IsTpmLost(state) => ModeText.Of(LockReason.TpmUnavailable),
        { Lock: LockReason.Starting or LockReason.TpmUnavailable or LockReason.TpmReplaced } =>
            ModeText.Of(state.Lock.Value),
        { RunUnsaved: true } => "storage_failed",
        _ => null,
    };

    private static string? RefuseInvalidation(Turn turn, AgentEvent.InvalidateAsked e)
    {
        AgentState state = turn.State;
        bool held = state.Run.Pending?.Entry.Version == e.Version
            || state.Bound?.Secrets.Any(s => s.Version == e.Version && s.State != SecretState.Invalidated) == true
            || state.Software?.Versions.Contains(e.Version) == true;
        if (!held || state.Run.Levels.Forbids(e.Version))
        {
            return "not_held";
        }

        if (state.Activity is Activity.Committing or Activity.LoadingPrevious or Activity.Enrolling)
        {
            return "busy";
        }

        if (state.Run.Levels.Invalidated.Count >= Levels.MaxInvalidated)
        {
            return "too_many";
        }

        ImmutableArray<UsableEntry> usable = Views.Usable(state);
        bool another = usable.Any(u => u.Entry.Version != e.Version && turn.TrustedNow < u.End);
        return another || e.Force ? null : "last_usable";
    }
}
