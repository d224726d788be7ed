using LicenseAgent.Core;
using LicenseAgent.Daemon.Alerting;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Loop;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon;

/// <summary>What of the agent does not change while it runs and is not configuration.</summary>
/// <param name="BuildTime">Trusted now is never before it.</param>
internal sealed record AgentProgram(string Version, UtcTime BuildTime);

/// <summary>
/// The agent without the world around it: loop, secrets, audit log, replay guard, local API, composed by hand from
/// configuration and ports. The daemon gives it real ports, the simulator its own.
/// </summary>
internal sealed class Agent : IDisposable
{
    private readonly AuditLog _audit;
    private readonly Till _till;
    private readonly ReplayGuard _replay;
    private readonly MetricsPublisher _publisher;
    private readonly AlertOutbox? _outbox;
    private readonly ILogger _logger;

    private Agent(
        AuditLog audit, Till till, ReplayGuard replay, MetricsPublisher publisher, AlertOutbox? outbox,
        AgentLoop loop, LocalSurfaces surfaces, Reloading reloading, ILogger logger)
    {
        (_audit, _till, _replay, _publisher, _outbox, _logger) = (audit, till, replay, publisher, outbox, logger);
        (Loop, Surfaces, Reloading) = (loop, surfaces, reloading);
    }

    public AgentLoop Loop { get; }

    /// <summary>What the two sockets answer with.</summary>
    public LocalSurfaces Surfaces { get; }

    public Reloading Reloading { get; }

    /// <summary>Opens the log and composes the rest; nothing has been asked of the TPM or the server yet.</summary>
    /// <param name="readConfig">Reads the configuration again; without it a reload finds what holds.</param>
    /// <param name="memory">Owned by the agent from here on; a simulated agent makes its own.</param>
    /// <exception cref="EnvironmentException">State directory or log cannot be read.</exception>
    public static async Task<Agent> CreateAsync(
        AgentConfig config, AgentPorts ports, AgentProgram program, AgentMetrics metrics,
        Action<byte[]> publishMetrics, ILogger logger, Func<ConfigOutcome>? readConfig = null,
        ProtectedMemory? memory = null)
    {
        memory ??= new ProtectedMemory(new SecretMemory(ports.Randomness), []);
        metrics.SetProtections(memory.Protections);
        TrustedNowSource trustedNow = new(program.BuildTime);
        ReplayGuard replay = new(config.Pos.Rate, ports.Randomness);
        AuditOpening opening = await AuditLog.OpenAsync(
            new AuditLogPorts(ports.AuditFile, ports.WorkItems, ports.BootClock, ports.Time, trustedNow.At,
                ports.VerifyEs256),
            await IdentityAsync(new TillFiles(ports.StateFiles)), config.Audit, program.Version,
            atRest: file => ReplayRebuild.Run(file, replay, ports.BootClock));
        if (opening.Torn > 0 || opening.Damaged > 0 || !opening.Clean)
        {
            AgentEvents.AuditTailFound(logger, opening.Torn, opening.Damaged, opening.Clean);
        }

        AuditLog audit = opening.Log;
        Till till = new(
            memory, audit, new AuditReader(ports.AuditFile, () => audit.Newest), config.Server);
        CoreSettings settings = SettingsOf(config, program);
        if (settings.FallbackOnLoss)
        {
            AgentEvents.FallbackIsOn(logger);
        }

        metrics.Follow(() => new MovingGauges(
            audit.Written.Seq, UtcTime.From(ports.Time.GetUtcNow()) - trustedNow.At(ports.BootClock.BootMs)));
        MetricsPublisher publisher = new(metrics, ports.Time, publishMetrics);
        AlertOutbox? outbox = OutboxOf(config, ports, trustedNow, logger);
        AgentLoop loop = new(
            ports, config, settings, till, trustedNow, metrics, publisher, new AlertReports(outbox, logger), logger);
        Reloading reloading = new(
            config, readConfig ?? (() => new ConfigOutcome(config, [])), entry => audit.SyncAsync(audit.Append(entry)),
            replaced =>
            {
                till.Upstream = replaced.Server;
                audit.Use(replaced.Audit);
                outbox?.Use(replaced.Alerts);
                loop.Post(new AgentEvent.SettingsChanged(SettingsOf(replaced, program)));
            });
        LocalSurfaces surfaces = LocalWiring.Connect(
            config, ports, till, loop, replay, metrics, reloading.RunAsync);
        reloading.Serve(surfaces);
        return new Agent(audit, till, replay, publisher, outbox, loop, surfaces, reloading, logger);
    }

    /// <summary>Runs until <paramref name="stop"/>, then leaves a clean end behind.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        await Loop.RunAsync(stop);
        _publisher.PublishChanges();
        try
        {
            await _audit.StopAsync();
        }
        catch (StorageException e)
        {
            // The next start finds an end that is not clean and says so.
            AgentEvents.EffectFailed(_logger, "stop", e.Reason, e.Message);
        }
    }

    public void Dispose()
    {
        Loop.Dispose();
        _outbox?.Dispose();
        _publisher.Dispose();
        _till.Dispose();
        _audit.Dispose();
        _replay.Dispose();
    }

    private static CoreSettings SettingsOf(AgentConfig config, AgentProgram program) => new(
        config.Agent.RotationInterval, config.Agent.GracePeriod, config.Agent.OfflineAfter,
        config.Agent.CheckInInterval, config.Degraded.Allowed, program.BuildTime, program.Version,
        config.Tpm.Fallback is not null);

    private static AlertOutbox? OutboxOf(
        AgentConfig config, AgentPorts ports, TrustedNowSource trustedNow, ILogger logger) =>
        ports.Webhook is { } webhook
            ? new AlertOutbox(
                new OutboxPorts(
                    webhook, ports.WorkItems, ports.BootClock, ports.Time, ports.Randomness, trustedNow.At),
                config.Alerts, logger)
            : null;

    /// <summary>
    /// Whose chain the log is. Where a crash came between enrolment and the first record of the new chain, opening the
    /// log begins it.
    /// </summary>
    private static async Task<AuditIdentity> IdentityAsync(TillFiles files)
    {
        try
        {
            AgentFile? agent = await files.ReadAgentAsync(CancellationToken.None);
            return agent is { Phase: EnrollmentPhase.Enrolled, Keys: { } keys }
                ? new AuditIdentity(agent.AgentId, keys.Signing)
                : AuditIdentity.None;
        }
        catch (IdentityDamagedException)
        {
            // The loop reads the file again, and says so.
            return AuditIdentity.Unknown;
        }
    }
}
