using LicenseAgent.Core;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.Config;

/// <summary>
/// Puts a configuration that was read anew in force, whole or not at all. Called by an operator or by SIGHUP, one at a
/// time; the record is on stable storage before anything changes.
/// </summary>
/// <param name="read">Reads the file this process was started with.</param>
/// <param name="record">Completes when the record is on stable storage.</param>
/// <param name="changed">Told of what the core decides by.</param>
internal sealed class Reloading(
    AgentConfig started, Func<ConfigOutcome> read, Func<AuditEntry, Task> record, Action<AgentConfig> changed)
{
    private const int RecordedBytesMax = 512;

    private AgentConfig _inForce = started;
    private LocalSurfaces? _surfaces;
    private bool _running;

    /// <summary>The surfaces exist after this does, because they call it.</summary>
    public void Serve(LocalSurfaces surfaces) => _surfaces = surfaces;

    /// <exception cref="StorageException">Nothing was changed: it could not have been recorded.</exception>
    public async Task<CommandAnswer<ReloadOutcome>> RunAsync()
    {
        if (Interlocked.Exchange(ref _running, true))
        {
            return new CommandAnswer<ReloadOutcome>(
                null, Problems.Conflict("A reload is under way: repeat the call."));
        }

        try
        {
            return new CommandAnswer<ReloadOutcome>(await RunOneAsync(), null);
        }
        finally
        {
            Volatile.Write(ref _running, false);
        }
    }

    private async Task<ReloadOutcome> RunOneAsync()
    {
        ConfigOutcome outcome = read();
        if (outcome.Config is not { } config)
            return await RefuseAsync([], [.. ConfigReport.Lines("config.toml", outcome.Errors)]);
        ConfigChange change = ConfigChange.Between(_inForce, config);
        if (change.Errors.Count > 0)
            return await RefuseAsync(change.Changed, change.Errors);
        await RecordAsync(AuditOutcome.Ok, "changed", change.Changed);
        _inForce = config;
        changed(config);
        (_surfaces ?? throw new InvariantBroken("A reload before there is anything to call it.")).Use(config);
        return new ReloadOutcome("reloaded", change.Changed, []);
    }

    private async Task<ReloadOutcome> RefuseAsync(IReadOnlyList<string> changed, IReadOnlyList<string> errors)
    {
        await RecordAsync(AuditOutcome.Refused, "errors", errors);
        return new ReloadOutcome("refused", changed, errors);
    }

    private Task RecordAsync(AuditOutcome outcome, string name, IReadOnlyList<string> lines) => record(new AuditEntry(
        "config_reloaded", null, AuditActor.Agent, outcome,
        new AuditDetails { { name, LimitedText.Cut(string.Join("; ", lines), RecordedBytesMax) } }));
}
