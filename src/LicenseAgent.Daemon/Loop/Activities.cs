using System.Collections.Immutable;
using System.Threading.Channels;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Daemon.State;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// Carries out the effects that begin an activity: each runs beside the loop, on the loop's context, and ends with
/// exactly one event, whatever goes wrong. The core begins one at a time, so there is at most one here.
/// </summary>
internal sealed class Activities(
    AgentPorts ports, AgentConfig config, CoreSettings settings, Till till, CommandTickets tickets,
    AgentMetrics metrics, ILogger logger)
{
    private readonly Opening _opening = new(ports, settings, till, metrics, logger);
    private readonly Anchors _anchors = new(ports, till);
    private readonly StateStore _store = new(ports.StateFiles, ports.TpmMemory);
    private Task _running = Task.CompletedTask;

    // An enrolment the server has answered and the till could not take over yet: the next try goes on with it.
    private EnrolledTill? _answered;

    /// <summary>Starts the activity of an effect; false when the effect begins none.</summary>
    public bool TryStart(
        AgentEffect effect, AgentState state, Now now, ChannelWriter<AgentEvent> events, CancellationToken stop)
    {
        Func<CancellationToken, Task<AgentEvent>>? activity = effect switch
        {
            AgentEffect.LoadState => _opening.LoadAsync,
            AgentEffect.LoadSecrets e => cancel => LoadSecretsAsync(e.Entries, cancel),
            AgentEffect.Send e => cancel => SendAsync(
                e.Plan, MomentOf(state, now), Views.ProvenNow(state, now), cancel),
            AgentEffect.StageSecret e => cancel => StageAsync(e, cancel),
            AgentEffect.LoadPrevious e => async cancel => new AgentEvent.PreviousLoaded(
                await till.Secrets!.LoadPreviousAsync(e.Versions, state.Clock.At(now.BootMs), cancel)),
            AgentEffect.CommitGeneration e => cancel => CommitAsync(e.Next, cancel),
            AgentEffect.ProbeTpm => ProbeAsync,
            AgentEffect.WriteAnchors e => cancel => _anchors.WriteAsync(e, state, cancel),
            AgentEffect.FetchKeysets => cancel => FetchKeysetsAsync(Views.ProvenNow(state, now), cancel),
            AgentEffect.Enroll e => cancel => EnrollAsync(e.Ticket, cancel),
            AgentEffect.OpenSoftware e => cancel => new SoftwareActivity(ports, till, _opening).OpenAsync(
                e.Anew, state.Tpm == TpmHealth.Ok, cancel),
            _ => null,
        };
        if (activity is null)
        {
            return false;
        }

        InvariantBroken.Unless(_running.IsCompleted, "Two activities at a time.");
        _running = RunAsync(activity, effect, events, stop);
        return true;
    }

    /// <summary>Waits for what is under way, so that a stop never cuts a write in two.</summary>
    public Task DrainAsync() => _running;

    private async Task RunAsync(
        Func<CancellationToken, Task<AgentEvent>> activity, AgentEffect effect, ChannelWriter<AgentEvent> events,
        CancellationToken stop)
    {
        // Requests may be cut off by a stop; what writes is finished, which takes milliseconds.
        CancellationToken cancel = effect is AgentEffect.Send or AgentEffect.FetchKeysets or AgentEffect.Enroll
            ? stop
            : CancellationToken.None;
        try
        {
            events.TryWrite(await activity(cancel));
        }
        catch (TpmUnavailableException e)
        {
            AgentEvents.EffectFailed(logger, effect.GetType().Name, e.Reason, e.Message);
            events.TryWrite(effect is AgentEffect.Enroll
                ? new AgentEvent.EnrollmentFailed("tpm", e.Message, Resumable: IsEnrolling(), HasBegun())
                : new AgentEvent.TpmFailed(HealthOf(e.Trouble), e.Message));
        }
        catch (EnvironmentException e) when (e is not NewerFormatException)
        {
            AgentEvents.EffectFailed(logger, effect.GetType().Name, e.Reason, e.Message);
            if (Failure(effect, e) is { } failure)
            {
                events.TryWrite(failure);
            }
            else
            {
                events.TryComplete(e);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The loop is no longer reading events.
        }
        catch (Exception e)
        {
            // A bug, or a state this program must not touch: the loop ends with it and the host says which.
            events.TryComplete(e);
        }
    }

    /// <returns><see langword="null"/>: an activity of which nobody said how it fails, a bug.</returns>
    private AgentEvent? Failure(AgentEffect effect, EnvironmentException e) => effect switch
    {
        AgentEffect.Send => new AgentEvent.ContactFailed(e.Reason, (e as NoContactException)?.RetryAfter),
        AgentEffect.StageSecret s => new AgentEvent.StagingFailed(
            s.Answer.SecretVersion, (e as UnusableSecretException)?.Reason, e.Message),
        AgentEffect.CommitGeneration => new AgentEvent.GenerationFailed(e.Message, Contradiction: false),
        AgentEffect.WriteAnchors => new AgentEvent.AnchoringFailed(e.Message),
        AgentEffect.LoadState or AgentEffect.LoadSecrets => new AgentEvent.LoadFailed(e.Message),
        AgentEffect.FetchKeysets => new AgentEvent.KeysetsNotFetched(e.Message),
        AgentEffect.Enroll => new AgentEvent.EnrollmentFailed(
            e is NoContactException ? "no_contact" : e.Reason, e.Message, Resumable: e.Retryable && IsEnrolling(),
            HasBegun()),
        AgentEffect.OpenSoftware => new AgentEvent.SoftwareFailed(e.Message),
        AgentEffect.LoadPrevious => new AgentEvent.PreviousFailed(e.Reason),

        // An enrolment that replaces another was broken off before it had keys: no TPM is this till's until the next.
        AgentEffect.ProbeTpm => new AgentEvent.TpmFailed(TpmHealth.Replaced, e.Message),
        _ => null,
    };

    private async Task<AgentEvent> LoadSecretsAsync(ImmutableArray<SecretEntry> entries, CancellationToken cancel)
    {
        ImmutableArray<long>.Builder opened = ImmutableArray.CreateBuilder<long>();
        ImmutableArray<long>.Builder unreadable = ImmutableArray.CreateBuilder<long>();
        foreach (SecretEntry entry in entries)
        {
            (await till.Secrets!.LoadAsync(entry, cancel) ? opened : unreadable).Add(entry.Version);
        }

        return new AgentEvent.SecretsLoaded(opened.ToImmutable(), unreadable.ToImmutable());
    }

    private async Task<AgentEvent> SendAsync(
        RequestPlan plan, RequestMoment moment, UtcTime? proven, CancellationToken cancel)
    {
        till.Connection!.JudgeBy(proven);
        Exchanged exchanged;
        try
        {
            exchanged = await till.Exchanger!.SendAsync(plan, moment, cancel);
        }
        catch (NoContactException e)
        {
            till.Connection.Broke(e);
            throw;
        }

        CertificateLife? renewed = exchanged.Answer is RenewCertificateAnswer { CertificateChain: var chain }
            ? await till.Connection.LifeOfAsync(chain, cancel)
            : null;
        return new AgentEvent.AnswerArrived(exchanged.Answer, exchanged.Raw, exchanged.SentBootMs)
        {
            TpmClock = exchanged.TpmClock,
            Certificate = renewed,
        };
    }

    private Task<AgentEvent> FetchKeysetsAsync(UtcTime? proven, CancellationToken cancel)
    {
        till.Connection?.JudgeBy(proven);
        return _opening.FetchKeysetsAsync(cancel);
    }

    private async Task<AgentEvent> StageAsync(AgentEffect.StageSecret effect, CancellationToken cancel)
    {
        SecretStore store = effect.Software ? till.Software! : till.Secrets!;
        Digest32 file = await store.StageAsync(effect.Answer, effect.Raw, cancel);
        return new AgentEvent.SecretStaged(effect.Answer.SecretVersion, file);
    }

    private async Task<AgentEvent> CommitAsync(BoundState next, CancellationToken cancel)
    {
        await till.Audit.SyncAsync();
        try
        {
            await _store.CommitAsync(next, cancel);
            return new AgentEvent.GenerationCommitted(next);
        }
        catch (EnvironmentException e) when (e is not (TpmUnavailableException or NewerFormatException))
        {
            AgentEvents.EffectFailed(logger, nameof(AgentEffect.CommitGeneration), e.Reason, e.Message);
            return new AgentEvent.GenerationFailed(e.Message, e is GenerationContradiction, Recorded: true);
        }
    }

    private async Task<AgentEvent> ProbeAsync(CancellationToken cancel)
    {
        till.TpmFacts = await ports.TpmKeys.OpenAsync(till.Agent!.Anchor(), cancel);
        return new AgentEvent.TpmReturned { TpmClock = await TpmClockAsync(ports, cancel) };
    }

    private async Task<AgentEvent> EnrollAsync(long? ticket, CancellationToken cancel)
    {
        Enroller enroller = new(ports, config with { Server = till.Upstream }, settings.BuildTime);
        try
        {
            if (ticket is { } number && tickets.EnrollCallOf(number) is { } call)
            {
                till.Agent = await enroller.BeginAsync(call, cancel);
            }

            EnrolledTill enrolled = Answered() ?? await enroller.FinishAsync(till.Agent!, cancel);
            _answered = enrolled;
            till.TpmFacts = enrolled.Tpm;
            await _opening.AdoptAsync(enrolled.Agent, cancel);
            AgentEvent done = await _opening.EnrolledEventAsync(
                enrolled.Agent, enrolled.ServerTime, enrolled.SentBootMs, cancel);
            _answered = null;
            return done;
        }
        finally
        {
            till.Agent = enroller.Saved ?? till.Agent;
        }
    }

    /// <summary>A reading and the boot time it was made at.</summary>
    public static async Task<TpmReading> TpmClockAsync(AgentPorts ports, CancellationToken cancel)
    {
        TpmClockReading clock = await ports.TpmClock.ReadClockAsync(cancel);
        return new TpmReading(clock.ClockMs, ports.BootClock.BootMs);
    }

    private bool IsEnrolling() => Answered() is not null || till.Agent is { Phase: EnrollmentPhase.Enrolling };

    private EnrolledTill? Answered() => ReferenceEquals(_answered?.Agent, till.Agent) ? _answered : null;

    /// <summary>The keys of an enrolment before this one, if there was one, are no more.</summary>
    private bool HasBegun() => Answered() is not null || till.Agent is { Phase: not EnrollmentPhase.Enrolled };

    private static RequestMoment MomentOf(AgentState state, Now now) =>
        new(state.Clock.At(now.BootMs), now.Wall, state.Bound?.Generation ?? state.Counter);

    private static TpmHealth HealthOf(TpmTrouble trouble) => trouble switch
    {
        TpmTrouble.Lockout => TpmHealth.Lockout,
        TpmTrouble.Replaced => TpmHealth.Replaced,
        _ => TpmHealth.Unavailable,
    };
}
