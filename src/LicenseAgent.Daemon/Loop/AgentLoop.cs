using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Alerting;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// One queue, one consumer: takes an event, asks the core, carries out what it says, publishes a snapshot. Everything
/// here runs on the loop's own context; only <see cref="Snapshot"/>, <see cref="Post"/> and the commands are called
/// from other threads.
/// </summary>
internal sealed class AgentLoop : IDisposable
{
    private readonly AgentPorts _ports;
    private readonly ILogger _logger;
    private readonly EffectRunner _effects;
    private readonly Activities _activities;
    private readonly SnapshotBuilder _snapshots;
    private readonly MetricsPublisher _gauges;
    private readonly Till _till;
    private readonly TrustedNowSource _trustedNow;
    private readonly AlertReports _alerts;
    private readonly TroubleWatch _troubles;
    private readonly ITimer _wake;

    // Unbounded by type, bounded by use: at most one tick, one completion, one trouble a source and the commands of
    // CommandTickets are in it at a time.
    private readonly Channel<AgentEvent> _events =
        Channel.CreateUnbounded<AgentEvent>(new UnboundedChannelOptions { SingleReader = true });

    private AgentState _state;
    private AgentSnapshot _snapshot;
    private TaskCompletionSource _turn = NewTurn();
    private int _tickQueued;

    public AgentLoop(
        AgentPorts ports, AgentConfig config, CoreSettings settings, Till till, TrustedNowSource trustedNow,
        AgentMetrics metrics, MetricsPublisher publisher, AlertReports alerts, ILogger logger)
    {
        _ports = ports;
        _logger = logger;
        _state = AgentState.Initial(settings);
        Tickets = new CommandTickets(Post, till);
        _effects = new EffectRunner(ports, till, Tickets, metrics, logger);
        _activities = new Activities(ports, config, settings, till, Tickets, metrics, logger);
        _snapshots = new SnapshotBuilder(config, till);
        (_gauges, _till, _trustedNow) = (publisher, till, trustedNow);
        (_alerts, _troubles) = (alerts, new TroubleWatch(Post));
        _snapshot = _snapshots.Build(_state, Read());
        _wake = ports.Time.CreateTimer(_ => PostTick(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The state as of the last step; any thread.</summary>
    public AgentSnapshot Snapshot => Volatile.Read(ref _snapshot);

    public CommandTickets Tickets { get; }

    /// <summary>
    /// Completes when the first outcome of loading is known: the agent can say the truth about itself.
    /// </summary>
    public TaskCompletionSource Settled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Queues an event; any thread.</summary>
    public void Post(AgentEvent happened) => _events.Writer.TryWrite(happened);

    /// <summary>Completes when the loop has finished a step after this call; any thread.</summary>
    public Task TurnAsync()
    {
        Task next = Volatile.Read(ref _turn).Task;
        PostTick();
        return next;
    }

    /// <summary>
    /// Runs until <paramref name="stop"/>; then what is under way is waited for and the run state is saved.
    /// </summary>
    public async Task RunAsync(CancellationToken stop)
    {
        await StepAsync(new AgentEvent.Started(), stop);
        try
        {
            while (true)
            {
                AgentEvent happened = await _events.Reader.ReadAsync(stop);
                if (happened is AgentEvent.Ticked)
                {
                    Volatile.Write(ref _tickQueued, 0);
                    if (_state.Identity is not null && _till.Audit.CheckpointIsDue)
                    {
                        happened = new AgentEvent.CheckpointWanted();
                    }
                }

                await StepAsync(happened, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // A clean stop: nothing new is begun.
        }
        catch (ChannelClosedException e) when (e.InnerException is { } cause)
        {
            ExceptionDispatchInfo.Throw(cause);
        }

        await _activities.DrainAsync();
        await _effects.SaveLastAsync(_state, Read());
    }

    public void Dispose() => _wake.Dispose();

    private async Task StepAsync(AgentEvent happened, CancellationToken stop)
    {
        AgentEvent? next = happened;
        Now now;
        do
        {
            AgentState before = _state;
            now = Read();
            StepResult result = AgentCore.Step(_state, next, now);
            _state = result.State;
            _alerts.Changed(before, _state, _state.Clock.At(_ports.BootClock.BootMs));
            next = await CarryOutAsync(result.Effects, stop);
            Publish();
        }
        while (next is not null);

        ScheduleWake(now);
        Interlocked.Exchange(ref _turn, NewTurn()).TrySetResult();
    }

    private static TaskCompletionSource NewTurn() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>In order; the first durable effect that fails drops the rest and is the next event.</summary>
    private async Task<AgentEvent?> CarryOutAsync(IReadOnlyList<AgentEffect> effects, CancellationToken stop)
    {
        foreach ((int done, AgentEffect effect) in effects.Index())
        {
            if (_activities.TryStart(effect, _state, Read(), _events.Writer, stop))
            {
                continue;
            }

            try
            {
                await _effects.RunAsync(effect, CancellationToken.None);
            }
            catch (EnvironmentException e)
            {
                AgentEvents.EffectFailed(_logger, effect.GetType().Name, e.Reason, e.Message);
                return new AgentEvent.EffectFailed(e.Reason, done);
            }
        }

        return null;
    }

    private void Publish()
    {
        Now now = Read();
        Volatile.Write(ref _snapshot, _snapshots.Build(_state, now));
        Tickets.Tell();
        _trustedNow.Set(_state.Clock);
        _till.Witnessed = _state.Run.Witnessed;
        UtcTime trusted = _state.Clock.At(now.BootMs);
        string? failing = _till.Audit.Failing;
        _troubles.Look(failing, _till.CertificateExpiry, trusted);
        _gauges.Set(GaugeBoard.Of(_state, trusted, _till.CertificateExpiry, failing is null));
        if (_state.Activity is not Activity.Loading && Views.Facts(_state).Lock != LockReason.Starting)
        {
            Settled.TrySetResult();
        }
    }

    /// <summary>What came due while the effects of the last step were carried out is due at once.</summary>
    /// <param name="stepped">When the last step was made: what was due by then it has seen.</param>
    private void ScheduleWake(Now stepped)
    {
        long waitMs = AgentCore.NextWakeBootMs(_state, stepped) - _ports.BootClock.BootMs;
        _wake.Change(TimeSpan.FromMilliseconds(Math.Max(0, waitMs)), Timeout.InfiniteTimeSpan);
    }

    private void PostTick()
    {
        if (Interlocked.Exchange(ref _tickQueued, 1) == 0)
        {
            Post(new AgentEvent.Ticked());
        }
    }

    private Now Read()
    {
        Span<byte> chance = stackalloc byte[16];
        _ports.Randomness.Fill(chance);
        return new Now(
            _ports.BootClock.BootId, _ports.BootClock.BootMs, _ports.BootClock.AwakeMs,
            UtcTime.From(_ports.Time.GetUtcNow()),
            System.Buffers.Binary.BinaryPrimitives.ReadUInt128LittleEndian(chance));
    }
}
