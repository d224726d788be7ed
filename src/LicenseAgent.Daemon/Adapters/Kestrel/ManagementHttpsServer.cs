using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.Ports;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>
/// Management over HTTPS on a loopback address, for operators' certificates: judged in the handshake and again at every
/// call. There is no UID here, so the certificate alone says what its owner may do.
/// </summary>
internal sealed class ManagementHttpsServer : IDisposable
{
    // A few operators and their monitoring.
    private const int ConnectionsMax = 32;

    private readonly KestrelServer _server;
    private readonly LocalHttpApplication _application;
    private readonly OperatorTls _tls;

    public ManagementHttpsServer(
        HttpsConfig config, PosConfig limits, HttpsSurface surface, Action<InvariantBroken> broken,
        TimeProvider time, ILoggerFactory logs)
    {
        _application = new LocalHttpApplication(surface.Handler, limits.RequestBytes, time, broken);
        _tls = new OperatorTls(config.ServerPem, surface, time);
        var options = new KestrelServerOptions { AddServerHeader = false };
        LocalSocketServer.Limit(options.Limits, limits);
        options.Limits.MaxConcurrentConnections = ConnectionsMax;
        options.Listen(config.Listen, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            listen.Use(next => connection => _tls.OnConnection(connection, next));
        });
        _server = new KestrelServer(
            Options.Create(options),
            new SocketTransportFactory(Options.Create(new SocketTransportOptions()), logs), logs);
    }

    /// <exception cref="StorageException">The address cannot be had.</exception>
    public async Task StartAsync(CancellationToken cancel)
    {
        try
        {
            await _server.StartAsync(_application, cancel);
        }
        catch (IOException e)
        {
            throw new StorageException("https_bind", $"management.https_listen: cannot listen there: {e.Message}", e);
        }
    }

    public Task StopAsync(CancellationToken cancel) => _server.StopAsync(cancel);

    public void Dispose()
    {
        _server.Dispose();
        _tls.Dispose();
    }
}
