using System.Runtime.InteropServices;
using System.Threading.Channels;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Adapters.Kestrel;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Tpm;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>
/// The agent as a process: real ports, two sockets, signals, the service manager. The one place where a failure becomes
/// an exit code.
/// </summary>
internal sealed class DaemonHost(AgentConfig config, string configFile, ILoggerFactory logs) : IDisposable
{
    public const int ExitOk = 0, ExitUsage = 64, ExitInternal = 70;

    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger = logs.CreateLogger("license-agent");

    // A signal, or a handler that broke: either ends the process by the same way.
    private readonly CancellationTokenSource _stopAsked = new();
    private Exception? _broken;

    private readonly Channel<bool> _reloads = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public async Task<int> RunAsync()
    {
        using InstanceLock? instance = TakeState(out int refused);
        if (instance is null)
        {
            return refused;
        }

        using PosixSignalRegistration term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, AskReload);
        AgentEvents.Started(_logger, Program.Version, configFile);
        using LoopThread loop = new();
        try
        {
            await loop.RunAsync(RunAgentAsync);
            if (_broken is not null)
            {
                AgentEvents.Failed(_logger, _broken, _broken.Message);
                return ExitInternal;
            }

            AgentEvents.Stopped(_logger);
            return ExitOk;
        }
        catch (NewerFormatException e)
        {
            AgentEvents.Failed(_logger, e, e.Message);
            return ConfigReport.ExitConfiguration;
        }
        catch (Exception e)
        {
            // The task root: what arrives here is a bug, or a disk on which not even the log can be opened.
            AgentEvents.Failed(_logger, e, e.Message);
            return ExitInternal;
        }
    }

    private async Task RunAgentAsync()
    {
        AgentMetrics metrics = new(CounterState.Empty, Program.Version);
        await using TpmPort tpm = new(
            new TpmOptions(config.Tpm.Device, config.Tpm.SigningHandle, config.Tpm.DecryptionHandle), metrics,
            TimeProvider.System);
        using StateFiles files = new(config.Paths.State);
        using AuditFile auditFile = new(config.Audit.Path);
        using TlsUpstream upstream = new(TimeProvider.System);
        using SoftwareStorage? software = SoftwareStorage.Open(config, files);
        using WebhookSender? webhook = config.Alerts.WebhookUrl is { } url
            ? new WebhookSender(url, TimeProvider.System)
            : null;
        AgentPorts ports = new(
            tpm, tpm, tpm, Es256.Verify, files, auditFile, new PoolWorkItems(), upstream, new BootClock(),
            new OsRandomness(), TimeProvider.System, webhook)
        {
            Fallback = software?.Ports,
        };
        MetricsFile metricsFile = new(
            Path.Combine(config.Paths.State, "metrics.prom"),
            e => AgentEvents.EffectFailed(_logger, "metrics", e.GetType().Name, e.Message));
        using Agent agent = await Agent.CreateAsync(
            config, ports, new AgentProgram(Program.Version, Program.BuildTime), metrics, metricsFile.Publish, _logger,
            () => ConfigFile.Load(configFile));
        await using LocalSockets sockets = new(config, agent.Surfaces, Broke, TimeProvider.System, logs);
        using ServiceNotify service = new(_logger);
        await sockets.StartAsync(_stopAsked.Token);
        Task running = agent.RunAsync(_stopAsked.Token);
        await Task.WhenAny(agent.Loop.Settled.Task, running);
        if (!running.IsCompleted)
        {
            SayReady(agent, service);
        }

        Task reloads = ServeReloadsAsync(agent, service, _stopAsked.Token);
        await running;
        await reloads;
        service.Stopping();
        await StopServingAsync(sockets);
        agent.Surfaces.Pos.Denials.Turn();
        agent.Surfaces.Admin.Denials.Turn();
        agent.Surfaces.Looks.Finish();
    }

    public void Dispose() => _stopAsked.Dispose();

    /// <summary>One reload after another, until the stop; what is refused is logged and changes nothing.</summary>
    private async Task ServeReloadsAsync(Agent agent, ServiceNotify service, CancellationToken stop)
    {
        try
        {
            while (await _reloads.Reader.ReadAsync(stop))
            {
                service.Reloading();
                await ReloadAsync(agent);
                service.Ready($"{ModeText.Of(agent.Loop.Snapshot.Mode.At(agent.Loop.Snapshot.Clock.Floor))}");
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The stop.
        }
    }

    private async Task ReloadAsync(Agent agent)
    {
        try
        {
            CommandAnswer<ReloadOutcome> answer = await agent.Reloading.RunAsync();
            if (answer.Done is { Outcome: "reloaded" } done)
            {
                AgentEvents.Reloaded(_logger, string.Join(", ", done.Changed));
                return;
            }

            AgentEvents.ReloadRefused(_logger, answer.Refused?.Detail ?? string.Join("; ", answer.Done!.Errors));
        }
        catch (StorageException e)
        {
            AgentEvents.ReloadRefused(_logger, e.Message);
        }
    }

    private InstanceLock? TakeState(out int refused)
    {
        refused = ExitOk;
        try
        {
            InstanceLock? instance = InstanceLock.TryTake(config.Paths.State);
            if (instance is null)
            {
                AgentEvents.AnotherInstance(_logger, config.Paths.State);
                refused = InstanceLock.ExitAnotherInstance;
            }

            return instance;
        }
        catch (StorageException e)
        {
            AgentEvents.Failed(_logger, e, e.Message);
            refused = ExitInternal;
            return null;
        }
    }

    private void SayReady(Agent agent, ServiceNotify service)
    {
        ModeFacts facts = agent.Loop.Snapshot.Mode;
        AgentMode mode = facts.At(agent.Loop.Snapshot.Clock.Floor);
        string reason = mode == AgentMode.Locked && facts.ReasonWhenLocked is { } r ? ModeText.Of(r) : "";
        AgentEvents.Ready(_logger, ModeText.Of(mode), reason);
        service.Ready($"{ModeText.Of(mode)} {reason}");
    }

    private static async Task StopServingAsync(LocalSockets sockets)
    {
        using CancellationTokenSource limit = new(DrainTime, TimeProvider.System);
        await sockets.StopAsync(limit.Token);
    }

    private void Stop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _stopAsked.Cancel();
    }

    // SIGHUP; several before the first was served are one.
    private void AskReload(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _reloads.Writer.TryWrite(true);
    }

    private void Broke(Exception cause)
    {
        Interlocked.CompareExchange(ref _broken, cause, null);
        _stopAsked.Cancel();
    }
}
