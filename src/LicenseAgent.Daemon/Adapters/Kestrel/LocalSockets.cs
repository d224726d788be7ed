using System.Net.Sockets;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Adapters.ServiceManager;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>Both sockets of an agent, from start to stop.</summary>
internal sealed class LocalSockets : IAsyncDisposable
{
    // Counted denials of a minute are written this long after it at the latest.
    private static readonly TimeSpan DenialsTurn = TimeSpan.FromSeconds(1);

    private readonly LocalSocketServer _pos;
    private readonly LocalSocketServer _admin;
    private readonly ManagementHttpsServer? _https;
    private readonly ITimer _denials;

    /// <param name="broken">Told when the process contradicts itself.</param>
    /// <param name="given">Sockets of the service manager.</param>
    /// <param name="ownProcess">Whose connections are the agent's own; 0: nobody's.</param>
    public LocalSockets(
        AgentConfig config, LocalSurfaces surfaces, Action<InvariantBroken> broken, TimeProvider time,
        ILoggerFactory logs, ActivatedSockets? given = null, int ownProcess = 0)
    {
        Socket? pos = given?.Take(ActivatedSockets.Pos);
        PosPath = pos?.LocalEndPoint?.ToString() ?? config.Pos.Socket;
        _pos = Server(config.Pos.Socket, surfaces.Pos, pos);
        _admin = Server(config.Management.Socket, surfaces.Admin, given?.Take(ActivatedSockets.Admin));
        _https = config.Management.Https is { } https && surfaces.Https is { } surface
            ? new ManagementHttpsServer(https, config.Pos, surface, broken, time, logs)
            : null;
        _denials = time.CreateTimer(
            _ =>
            {
                surfaces.Pos.Denials.Turn();
                surfaces.Admin.Denials.Turn();
                surfaces.Looks.Turn();
            },
            null, DenialsTurn, DenialsTurn);

        LocalSocketServer Server(string path, LocalSurface surface, Socket? listening) => new(
            new LocalSocketSettings(
                path, surface.Access, config.Pos, surface.Handler, (peer, why) => surface.Denials.Add(peer, why),
                broken, listening, ownProcess),
            time, logs);
    }

    /// <summary>Where applications connect.</summary>
    public string PosPath { get; }

    /// <summary>The operator's socket first: it tells what is wrong when the other one cannot be had.</summary>
    public async Task StartAsync(CancellationToken cancel)
    {
        await _admin.StartAsync(cancel);
        if (_https is not null)
            await _https.StartAsync(cancel);
        await _pos.StartAsync(cancel);
    }

    /// <summary>Applications first, so that an operator can watch the stop.</summary>
    public async Task StopAsync(CancellationToken cancel)
    {
        await _pos.StopAsync(cancel);
        if (_https is not null)
            await _https.StopAsync(cancel);
        await _admin.StopAsync(cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await _denials.DisposeAsync();
        _pos.Dispose();
        _https?.Dispose();
        _admin.Dispose();
    }
}
