using System.Net;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicensePki;
using LicenseServer.Agents;
using LicenseServer.Agents.Fallback;
using LicenseServer.Keys;
using LicenseServer.Licenses;
using LicenseServer.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LicenseServer.Http;

/// <summary>
/// The license server, composed by hand: everything it is made of stands in <see cref="CreateAsync"/>. Several can
/// live in one process, each with its own data directory; none touches the process's signals or console.
/// </summary>
public sealed class ServerApp : IAsyncDisposable
{
    internal const int RequestBytesMax = AgentApiLimits.RequestBytes;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopMax = TimeSpan.FromSeconds(10);

    private readonly ServerStore _store;
    private readonly AgentTls _tls;
    private readonly CertificateAuthority _authority;
    private readonly WebApplication _web;
    private readonly AgentApi _api;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stopping = new();
    private Task _sweeping = Task.CompletedTask;

    private ServerApp(
        ServerStore store, AgentTls tls, CertificateAuthority authority, AgentApi api, WebApplication web,
        TimeProvider time)
    {
        (_store, _tls, _authority, _api, _web, _time) = (store, tls, authority, api, web, time);
        _log = web.Services.GetRequiredService<ILoggerFactory>().CreateLogger<ServerApp>();
    }

    public static string Version { get; } = typeof(ServerApp).Assembly.GetName().Version!.ToString(3);

    /// <summary>Where agents find the agent API, as bundles say it; the port that was taken, once started.</summary>
    public Uri AgentUrl => _store.Options.PublicUrl ?? new Uri($"https://{_store.Options.ServerName}:{Ports()[0]}");

    /// <summary>Where the management pages listen, once started.</summary>
    public Uri ManagementUrl => new($"http://{new IPEndPoint(_store.Options.ManagementListen.Address, Ports()[1])}");

    internal ServerStore Store => _store;

    /// <summary>The agent API without HTTP and TLS, usable before anything listens.</summary>
    internal AgentApi Api => _api;

    /// <summary>Opens the data directory and composes the server; nothing listens yet.</summary>
    /// <param name="around">Middleware around the agent API and the management pages: how a test bed injects
    /// faults.</param>
    /// <exception cref="PkiException">A certificate or its key cannot be used.</exception>
    public static async Task<ServerApp> CreateAsync(
        ServerOptions options, TimeProvider time, FillRandom? random = null, ILoggerFactory? loggers = null,
        Action<IApplicationBuilder>? around = null)
    {
        random ??= RandomNumberGenerator.Fill;
        var tls = new AgentTls(options, time);
        var authority = CertificateAuthority.Load(options.AgentCaCertFile, options.AgentCaKeyFile, time);
        var store = await ServerStore.OpenAsync(options, time, random);

        var keys = new VersionKeys(store.Keys, random);
        var tally = new Tally();
        var gate = new RequestGate(store.Database, Es256.Verify, new RateLimit(options.RateLimit, time), time);
        var api = new AgentApi(
            store.Database, gate, new RotationActions(keys, options.Policy), new CheckIns(options.Policy),
            new LicenseActions(keys, random),
            new Enrollments(store.Database, authority, options.Policy, options.EnrollmentApproval, time),
            new SoftwareFallback(options.SoftwareFallbackAutomatic),
            new AnswerWriter(store.Keys, keys, time), tally, time);
        var agents = new AgentEndpoint(api, tally, options.ConcurrentRequestsMax);
        var management = new ManagementEndpoint(store.Database, tally, tls.CertificateEnds, time);

        var web = Build(options, tls, loggers);
        around?.Invoke(web);
        web.Run(context => context.Features.Get<ManagementConnection>() is null
            ? agents.HandleAsync(context)
            : management.HandleAsync(context));
        return new ServerApp(store, tls, authority, api, web, time);
    }

    /// <exception cref="IOException">An address cannot be listened on.</exception>
    public async Task StartAsync(CancellationToken cancellation = default)
    {
        if (_store.HasMadeKeys)
        {
            _log.LogWarning(
                "New keys were made in {Path}. Whoever reads that file can mint licenses: keep it apart from backups "
                + "of the database, or name one elsewhere with --keys-file",
                ServerStore.KeysPath(_store.Options));
        }

        await _web.StartAsync(cancellation);
        _sweeping = SweepAsync();
    }

    /// <summary>Lets running requests end, then closes everything.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested) return;
        await _stopping.CancelAsync();
        using (var limit = new CancellationTokenSource(StopMax, TimeProvider.System)) await _web.StopAsync(limit.Token);
        await _web.DisposeAsync();
        await _sweeping;
        await _store.DisposeAsync();
        _tls.Dispose();
        _authority.Dispose();
    }

    private static WebApplication Build(ServerOptions options, AgentTls tls, ILoggerFactory? loggers)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        if (loggers is not null) builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = RequestBytesMax;
            kestrel.Limits.MaxRequestHeadersTotalSize = 8 * 1024;
            kestrel.Limits.MaxConcurrentConnections = options.ConnectionsMax;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
            kestrel.Listen(options.Listen, tls.Apply);
            kestrel.Listen(options.ManagementListen, MarkAsManagement);
        });
        return builder.Build();
    }

    private static void MarkAsManagement(ListenOptions listen)
    {
        listen.Protocols = HttpProtocols.Http1;
        listen.Use(next => connection =>
        {
            connection.Features.Set(new ManagementConnection());
            return next(connection);
        });
    }

    private int[] Ports() =>
    [
        .. _web.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses
            .Select(address => new Uri(address).Port),
    ];

    /// <summary>Deletes old nonces and outcomes until the server stops; what fails is tried again at the next
    /// turn.</summary>
    private async Task SweepAsync()
    {
        using var timer = new PeriodicTimer(SweepInterval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                RefreshKeys();
                while (await SweepOnceAsync()) _stopping.Token.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
    }

    /// <summary>Until it succeeds the server signs with the keys it has; they stay in the keyset for months.</summary>
    internal void RefreshKeys()
    {
        try
        {
            if (_store.RefreshKeys()) _log.LogInformation("Took over the signing keys of the replaced key file");
        }
        catch (KeyFileException error)
        {
            _log.LogError("The replaced key file cannot be used: {Reason}", error.Message);
        }
    }

    private async Task<bool> SweepOnceAsync()
    {
        try
        {
            var now = LicenseAgent.Protocol.Encoding.UtcTime.From(_time.GetUtcNow());
            return await _store.Database.WriteAsync(session => RequestRows.Sweep(session, now));
        }
        catch (Exception error) when (error is WriteQueueFullException or Microsoft.Data.Sqlite.SqliteException)
        {
            _log.LogWarning("Old nonces and outcomes could not be deleted: {Reason}", error.Message);
            return false;
        }
    }

    /// <summary>Signals belong to who hosts the server, not to the server.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
