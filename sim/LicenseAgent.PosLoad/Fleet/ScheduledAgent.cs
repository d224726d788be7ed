using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>Work that a step has begun outside of the core, and the event it ends with.</summary>
/// <param name="Plan">The request, where it is one.</param>
internal sealed record Begun(ScheduledAgent Agent, RequestPlan? Plan, Func<CancellationToken, Task<AgentEvent>> RunAsync);

/// <summary>
/// A software agent that does what the agent's decision core says, when it says so: schedule, jitter and back-off are
/// the agent's own. What the core wants written is in memory only. Steps are one thread's at a time.
/// </summary>
internal sealed class ScheduledAgent(FleetAgent agent, Intervals intervals, FleetTime time) : IDisposable
{
    private static readonly TimeSpan s_offlineAfter = TimeSpan.FromDays(1), s_day = TimeSpan.FromDays(1);

    private AgentState _state = AgentState.Initial(new CoreSettings(
        TimeSpan.FromSeconds(intervals.Rotation), TimeSpan.FromSeconds(intervals.Grace), s_offlineAfter,
        TimeSpan.FromSeconds(intervals.CheckIn), DegradedAllowed: true, time.At(0) - s_day, "0.1.0"));

    // The boot clock while the fleet's time stands, and what it shows when that starts.
    private long _bootMs = 1_000;

    public FleetAgent Agent => agent;

    public long RotationsDone { get; private set; }

    /// <summary>Milliseconds of the fleet's time from the start, when the core wants its next step at the latest.</summary>
    public long NextWakeMs => AgentCore.NextWakeBootMs(_state, Read()) - _bootMs;

    public AgentMode Mode => Views.Mode(_state, _state.Clock.At(BootMs));

    private long BootMs => _bootMs + time.ElapsedMs;

    /// <summary>
    /// From enrolment to the first secret and check-ins, as they were at moments before the start that are equally
    /// likely: the fleet then is in the middle of its life.
    /// </summary>
    public async Task SettleAsync(Random chance, CancellationToken cancel)
    {
        await RunAsync(new AgentEvent.Started(), cancel);
        UtcTime rotated = time.At(BootMs);
        double untilRotation = ((Views.RotationDue(_state) ?? throw new InvalidOperationException(
            $"{agent.AgentId} has no secret after its first rotation.")) - rotated).TotalMilliseconds;
        double rotationAge = chance.NextDouble() * untilRotation;
        double checkInShare = chance.NextDouble();
        double checkInAge = checkInShare * intervals.CheckIn * 1000;

        // The last check-in is where it should be between the rotation and the start.
        _bootMs += Math.Max(0, (long)(rotationAge - checkInAge));
        _state = _state with { CheckInDueBootMs = 0 };
        await RunAsync(new AgentEvent.Ticked(), cancel);
        _bootMs += (long)(checkInShare * (_state.CheckInDueBootMs - _bootMs));
    }

    /// <summary>One step of the core, and those that follow from it at once.</summary>
    /// <returns>What has begun; its event is the next step.</returns>
    public Begun? Step(AgentEvent happened)
    {
        Begun? begun = null;
        Queue<AgentEvent> next = new([happened]);
        while (next.TryDequeue(out AgentEvent? now))
        {
            StepResult result = AgentCore.Step(_state, now, Read());
            _state = result.State;
            foreach (AgentEffect effect in result.Effects)
            {
                begun = Begin(effect) ?? begun;
                if (AtOnce(effect) is { } follows)
                {
                    next.Enqueue(follows);
                }
            }
        }

        return begun;
    }

    public void Dispose() => agent.Dispose();

    private async Task RunAsync(AgentEvent happened, CancellationToken cancel)
    {
        for (Begun? begun = Step(happened); begun is not null;)
        {
            AgentEvent end = await begun.RunAsync(cancel);
            if (end is AgentEvent.ContactFailed or AgentEvent.StagingFailed
                or AgentEvent.AnswerArrived { Answer: RefusalAnswer })
            {
                throw new InvalidOperationException($"{agent.AgentId} was not prepared: {end}");
            }

            begun = Step(end);
        }
    }

    private Begun? Begin(AgentEffect effect)
    {
        switch (effect)
        {
            case AgentEffect.Send e:
                long boot = BootMs;
                AgentMoment moment = new(
                    time.ToServer(_state.Clock.At(boot), boot), boot, _state.Bound?.Generation ?? _state.Counter);
                return new Begun(this, e.Plan, cancel => SendAsync(e.Plan, moment, cancel));
            case AgentEffect.StageSecret e:
                return new Begun(this, null, _ => Task.Run(() => Stage(e)));
            default:
                return null;
        }
    }

    private AgentEvent? AtOnce(AgentEffect effect)
    {
        switch (effect)
        {
            case AgentEffect.LoadState: return Enrolled();
            case AgentEffect.LoadSecrets e: return new AgentEvent.SecretsLoaded([.. e.Entries.Select(s => s.Version)], []);
            case AgentEffect.CommitGeneration e: return new AgentEvent.GenerationCommitted(e.Next);
            case AgentEffect.WriteAnchors: return new AgentEvent.Anchored();
            case AgentEffect.EraseSecret e: agent.Forget(e.Version); return null;
            case AgentEffect.Audit e: agent.Record(e.Event); return null;
            case AgentEffect.CountRotation e: RotationsDone += e.Succeeded ? 1 : 0; return null;
            case AgentEffect.Send or AgentEffect.StageSecret: return null;
            case AgentEffect.SaveRun or AgentEffect.KeepReceipt or AgentEffect.SaveRevocations: return null;
            default: throw new InvalidOperationException($"A software agent has no {effect.GetType().Name}.");
        }
    }

    private AgentEvent.Enrolled Enrolled()
    {
        EnrollAnswer answer = agent.Enrolled ?? throw new InvalidOperationException($"{agent.AgentId} is not enrolled.");
        AgentPolicy policy = new(
            answer.Policy.RotationIntervalS * time.Factor, answer.Policy.GracePeriodS * time.Factor,
            answer.Policy.CheckInIntervalS * time.Factor);
        return new AgentEvent.Enrolled(
            new Identity(agent.AgentId, policy), agent.Keyset, answer.HighestVersion, 0, time.At(BootMs), BootMs);
    }

    private async Task<AgentEvent> SendAsync(RequestPlan plan, AgentMoment moment, CancellationToken cancel)
    {
        try
        {
            Exchanged exchanged = await agent.SendAsync(plan, moment, cancel);
            return new AgentEvent.AnswerArrived(
                time.Translate(exchanged.Answer, _bootMs), exchanged.Raw, exchanged.SentBootMs);
        }
        catch (NoContactException e)
        {
            return new AgentEvent.ContactFailed(e.Reason, e.RetryAfter is { } after ? time.Longer(after) : null);
        }
    }

    private AgentEvent Stage(AgentEffect.StageSecret effect)
    {
        try
        {
            agent.Stage(effect.Answer);
            return new AgentEvent.SecretStaged(effect.Answer.SecretVersion, Digest32.Sha256(effect.Raw.Span));
        }
        catch (Exception e) when (e is InvalidOperationException or CryptographicException)
        {
            return new AgentEvent.StagingFailed(effect.Answer.SecretVersion, RejectReasons.UnwrapFailed, e.Message);
        }
    }

    private Now Read()
    {
        Span<byte> chance = stackalloc byte[16];
        RandomNumberGenerator.Fill(chance);
        long boot = BootMs;
        return new Now(
            "boot", boot, boot, time.At(boot),
            System.Buffers.Binary.BinaryPrimitives.ReadUInt128LittleEndian(chance));
    }
}
