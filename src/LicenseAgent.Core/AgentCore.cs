using System.Collections.Immutable;

namespace LicenseAgent.Core;

/// <summary>
/// The agent's decisions: one pure function from state and event to state and effects. The phases stand in files of
/// their own; this one only says who answers which event.
/// </summary>
public static class AgentCore
{
    /// <summary>One step. Throws <see cref="InvariantBroken"/> when the event cannot belong to the activity.</summary>
    public static StepResult Step(AgentState state, AgentEvent happened, Now now)
    {
        Turn turn = new(state, now);
        if (happened is not AgentEvent.EffectFailed)
        {
            // A failed write is reported before any other event, so the writes of the step before have succeeded.
            Storage.OnWritten(turn);
        }

        Timekeeping.Advance(turn, happened);
        Certificates.Note(turn, happened);
        Handle(turn, happened);
        Planner.Advance(turn);
        Alerts.Evaluate(turn);
        turn.State.Bound?.CheckInvariants();
        ImmutableArray<AgentEffect> effects = turn.Effects;
        turn.State = turn.State with { LastEffects = effects };
        return new StepResult(turn.State, effects);
    }

    /// <summary>CLOCK_BOOTTIME, milliseconds, at which <see cref="AgentEvent.Ticked"/> is due at the latest.</summary>
    public static long NextWakeBootMs(AgentState state, Now now) => Planner.NextWakeBootMs(state, now);

    private static void Handle(Turn turn, AgentEvent happened)
    {
        switch (happened)
        {
            case AgentEvent.Started: Startup.OnStarted(turn); break;
            case AgentEvent.Ticked: break;
            case AgentEvent.FoundNotEnrolled: Startup.OnNotEnrolled(turn); break;
            case AgentEvent.FoundEnrolling: Startup.OnEnrolling(turn); break;
            case AgentEvent.FoundIdentityDamaged e: Startup.OnIdentityDamaged(turn, e); break;
            case AgentEvent.StateLoaded e: Startup.OnStateLoaded(turn, e); break;
            case AgentEvent.StateUnusable e: Startup.OnStateUnusable(turn, e); break;
            case AgentEvent.SecretsLoaded e: Startup.OnSecretsLoaded(turn, e); break;
            case AgentEvent.LoadFailed e: Startup.OnLoadFailed(turn, e); break;
            case AgentEvent.CheckpointWanted: TpmCare.OnCheckpointWanted(turn); break;
            case AgentEvent.TpmFailed e: TpmCare.OnFailed(turn, e); break;
            case AgentEvent.TpmReturned: TpmCare.OnReturned(turn); break;
            case AgentEvent.Anchored: TpmCare.OnAnchored(turn); break;
            case AgentEvent.AnchoringFailed e: TpmCare.OnAnchoringFailed(turn, e); break;
            case AgentEvent.SoftwareOpened e: SoftwareFallback.OnOpened(turn, e); break;
            case AgentEvent.SoftwareFailed e: SoftwareFallback.OnFailed(turn, e); break;
            case AgentEvent.AnswerArrived e: Answers.OnArrived(turn, e); break;
            case AgentEvent.ContactFailed e: Answers.OnContactFailed(turn, e); break;
            case AgentEvent.SecretStaged e: Rotation.OnStaged(turn, e); break;
            case AgentEvent.StagingFailed e: Rotation.OnStagingFailed(turn, e); break;
            case AgentEvent.PreviousLoaded e: Rotation.OnPreviousLoaded(turn, e); break;
            case AgentEvent.PreviousFailed e: Rotation.OnPreviousFailed(turn, e); break;
            case AgentEvent.GenerationCommitted e: Binding.OnCommitted(turn, e); break;
            case AgentEvent.GenerationFailed e: Binding.OnFailed(turn, e); break;
            case AgentEvent.EffectFailed e: Storage.OnEffectFailed(turn, e); break;
            case AgentEvent.TroubleNoticed e: Alerts.OnNoticed(turn, e); break;
            case AgentEvent.KeysetsFetched e: Keysets.OnFetched(turn, e); break;
            case AgentEvent.KeysetsNotFetched e: Keysets.OnNotFetched(turn, e); break;
            case AgentEvent.RenewalAsked e: Renewals.OnAsked(turn, e); break;
            case AgentEvent.RotateAsked e: Commands.OnRotate(turn, e); break;
            case AgentEvent.InvalidateAsked e: Commands.OnInvalidate(turn, e); break;
            case AgentEvent.DegradedAsked e: Commands.OnDegraded(turn, e); break;
            case AgentEvent.SettingsChanged e: turn.State = turn.State with { Settings = e.Settings }; break;
            case AgentEvent.EnrollAsked e: Commands.OnEnroll(turn, e); break;
            case AgentEvent.Enrolled e: Commands.OnEnrolled(turn, e); break;
            case AgentEvent.EnrollmentFailed e: Commands.OnEnrollmentFailed(turn, e); break;
            default: throw new InvariantBroken($"{happened} is not an event of the core.");
        }
    }
}
