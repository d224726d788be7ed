using System.Net.Sockets;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>One socket: where it is, who may connect, what answers.</summary>
/// <param name="Limits">Those of <c>[pos]</c>, on either socket.</param>
/// <param name="Given">A listening socket that the service manager made; else the path is bound.</param>
/// <param name="OwnProcess">Connections of this process id are the agent's own; 0: there are none.</param>
/// <param name="TurnedAway">Told of every connection that is not admitted; must not block.</param>
/// <param name="Broken">Told when the process contradicts itself; the host ends it.</param>
internal sealed record LocalSocketSettings(
    string Path, PeerAccess Access, PosConfig Limits,
    LocalHandler Handler, Action<PeerCredentials, Admission> TurnedAway, Action<InvariantBroken> Broken,
    Socket? Given, int OwnProcess);

/// <summary>
/// Kestrel on one Unix socket, HTTP/1.1 alone. <c>pos.sock</c> and <c>admin.sock</c> each have a server of their own,
/// so that a full one does not lock the operator out.
/// </summary>
internal sealed class LocalSocketServer : IDisposable
{
    // Above the request limit, so that its 413 reaches the client of a moderately oversized request; what is larger
    // is not drained.
    private const int DrainedToLimit = 4;

    private readonly KestrelServer _server;
    private readonly LocalHttpApplication _application;

    public LocalSocketServer(LocalSocketSettings settings, TimeProvider time, ILoggerFactory logs)
    {
        var gate = new ConnectionGate(
            settings.Access, settings.Limits.ConnectionsPerUid, settings.Limits.Connections, time);
        var door = new PeerDoor(
            () => settings.Given ?? SocketPath.Bind(settings.Path),
            new DoorRules(gate, settings.TurnedAway, settings.OwnProcess), time, logs);
        var options = new KestrelServerOptions { AddServerHeader = false, AllowSynchronousIO = false };
        Limit(options.Limits, settings.Limits);
        options.ListenUnixSocket(settings.Path, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            listen.Use(next => connection => door.OnConnection(connection, next));
        });
        _server = new KestrelServer(Options.Create(options), door, logs);
        _application = new LocalHttpApplication(
            settings.Handler, settings.Limits.RequestBytes, time, settings.Broken);
    }

    /// <summary>Listens when it returns; a path that is not safe is a <see cref="StorageException"/>.</summary>
    public Task StartAsync(CancellationToken cancel) => _server.StartAsync(_application, cancel);

    /// <summary>Stops accepting, waits for requests being answered until cancelled, removes the socket.</summary>
    public Task StopAsync(CancellationToken cancel) => _server.StopAsync(cancel);

    public void Dispose() => _server.Dispose();

    /// <summary>What holds for every request to the agent, however it comes.</summary>
    public static void Limit(KestrelServerLimits limits, PosConfig pos)
    {
        limits.RequestHeadersTimeout = pos.HeaderTimeout;
        limits.KeepAliveTimeout = pos.IdleTimeout;
        limits.MaxRequestLineSize = pos.HeadBytes;
        limits.MaxRequestHeadersTotalSize = pos.HeadBytes;
        limits.MaxRequestBodySize = DrainedToLimit * pos.RequestBytes;
        limits.MaxRequestBufferSize = Math.Max(DrainedToLimit * pos.RequestBytes, pos.HeadBytes);
    }
}
