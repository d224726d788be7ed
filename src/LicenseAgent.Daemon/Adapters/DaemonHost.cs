using System.Runtime.InteropServices;
using System.Threading.Channels;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Adapters.Hardening;
using LicenseAgent.Daemon.Adapters.Kestrel;
using LicenseAgent.Daemon.Adapters.ServiceManager;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
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

    // Whoever has asked before the stop is answered within this; then connections are cut.
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(5);

    // The mode follows from time alone as well, so somebody has to look.
    private static readonly TimeSpan StatusTurn = TimeSpan.FromSeconds(1);

    private readonly BootClock _bootClock = new();
    private readonly ILogger _logger = logs.CreateLogger("license-agent");

    // A signal, or a handler that broke: either ends the process by the same way.
    private readonly CancellationTokenSource _stopAsked = new();
    private Exception? _broken;

    private readonly Channel<bool> _reloads = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public async Task<int> RunAsync()
    {
        ProcessHardening.Apply();
        using SecretMemory secrets = new(new OsRandomness());
        if (Examine(secrets) is not { } memory)
        {
            return ConfigReport.ExitConfiguration;
        }

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
            await loop.RunAsync(() => RunAgentAsync(memory));
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

    private async Task RunAgentAsync(ProtectedMemory memory)
    {
        AgentMetrics metrics = new(CounterState.Empty, Program.Version);
        await using TpmPort tpm = new(
            new TpmOptions(config.Tpm.Device, config.Tpm.SigningHandle, config.Tpm.DecryptionHandle), metrics,
            TimeProvider.System);
        using StateFiles files = new(config.Paths.State);
        using AuditFile auditFile = new(config.Audit.Path);
        using TlsUpstream upstream = new(TimeProvider.System);
        using SoftwareStorage? software = SoftwareStorage.Open(config, files);
        using WebhookSender webhook = new(TimeProvider.System);
        AgentPorts ports = new(
            tpm, tpm, tpm, Es256.Verify, files, auditFile, new PoolWorkItems(), upstream, _bootClock,
            new OsRandomness(), TimeProvider.System, webhook)
        {
            Fallback = software?.Ports,
        };
        MetricsFile metricsFile = new(
            Path.Combine(config.Paths.State, "metrics.prom"),
            e => AgentEvents.EffectFailed(_logger, "metrics", e.GetType().Name, e.Message));
        using Agent agent = await Agent.CreateAsync(
            config, ports, new AgentProgram(Program.Version, Program.BuildTime), metrics, metricsFile.Publish, _logger,
            () => ConfigFile.Load(configFile), memory);
        using ActivatedSockets given = ActivatedSockets.Read(
            Environment.GetEnvironmentVariable, Environment.ProcessId);
        await using LocalSockets sockets = new(
            config, agent.Surfaces, Broke, TimeProvider.System, logs, given, Environment.ProcessId);
        using ServiceNotify service = new(_logger);
        await sockets.StartAsync(CancellationToken.None);
        await ServeAsync(agent, sockets, service);
    }

    /// <summary>
    /// Until a stop is asked for or the loop ends by itself. Then the sockets are drained while the loop and the log
    /// still work, so that whoever has asked is answered; only then the loop is told.
    /// </summary>
    private async Task ServeAsync(Agent agent, LocalSockets sockets, ServiceNotify service)
    {
        using CancellationTokenSource drained = new();
        Task running = agent.RunAsync(drained.Token);
        Task asked = Task.Delay(Timeout.Infinite, _stopAsked.Token);
        await Task.WhenAny(agent.Loop.Settled.Task, running, asked);
        if (agent.Loop.Settled.Task.IsCompleted)
        {
            AgentEvents.Ready(_logger, ModeOf(agent), ReasonOf(agent));
            service.Ready(StatusOf(agent));
        }

        await using ITimer status = TimeProvider.System.CreateTimer(
            _ => service.Status(StatusOf(agent)), null, StatusTurn, StatusTurn);
        Task watched = WatchAsync(agent, sockets, service);
        Task reloads = ServeReloadsAsync(agent, service, _stopAsked.Token);
        await Task.WhenAny(running, asked);

        // Where the loop has ended by itself, the rest ends with it.
        await _stopAsked.CancelAsync();
        service.Stopping();
        await StopServingAsync(sockets);
        agent.Surfaces.Pos.Denials.Turn();
        agent.Surfaces.Admin.Denials.Turn();
        agent.Surfaces.Looks.Finish();
        await watched;
        await reloads;
        await drained.CancelAsync();
        await running;
    }

    private Task WatchAsync(Agent agent, LocalSockets sockets, ServiceNotify service)
    {
        TimeSpan? limit = Watchdog.LimitOf(
            Environment.GetEnvironmentVariable("WATCHDOG_USEC"), Environment.GetEnvironmentVariable("WATCHDOG_PID"),
            Environment.ProcessId);
        return limit is { } given
            ? new Watchdog(
                given, TimeProvider.System,
                [
                    new LifeSign("loop", _ => agent.Loop.TurnAsync()),
                    new LifeSign("pos.sock", cancel => SelfCall.AskAsync(sockets.PosPath, cancel)),
                ],
                service.Alive, sign => AgentEvents.WatchdogSilenced(_logger, sign)).RunAsync(_stopAsked.Token)
            : Task.CompletedTask;
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
                service.Ready(StatusOf(agent));
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

    /// <summary>Null: what is missing is a reason not to start.</summary>
    private ProtectedMemory? Examine(SecretMemory secrets)
    {
        ProtectedMemory memory = new(secrets, SelfTest.Run(secrets));
        Protection[] missing = [.. memory.Protections.Where(p => !p.Holds)];
        foreach (Protection protection in missing)
        {
            AgentEvents.ProtectionFailed(_logger, protection.Name, protection.Fact, protection.Remedy);
        }

        if (missing.Length == 0 || !config.Security.Strict)
        {
            return memory;
        }

        AgentEvents.StartRefused(_logger, string.Join(", ", missing.Select(p => p.Name)));
        return null;
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

    private string StatusOf(Agent agent) => $"{ModeOf(agent)} {ReasonOf(agent)}".TrimEnd();

    private string ModeOf(Agent agent) => ModeText.Of(ModeNow(agent.Loop.Snapshot));

    private string ReasonOf(Agent agent) =>
        ModeNow(agent.Loop.Snapshot) == AgentMode.Locked && agent.Loop.Snapshot.Mode.ReasonWhenLocked is { } reason
            ? ModeText.Of(reason)
            : "";

    private AgentMode ModeNow(AgentSnapshot snapshot) => snapshot.Mode.At(snapshot.Clock.At(_bootClock.BootMs));

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
