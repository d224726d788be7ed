using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicensePki;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.ContractTests.Upstream;

/// <summary>What a <see cref="TlsServer"/> shows and asks for.</summary>
internal sealed record TlsServerOptions(X509Certificate2 Certificate)
{
    public SslProtocols Protocols { get; init; } = SslProtocols.Tls13;

    public bool RequireClientCertificate { get; init; }

    public bool RefuseClientCertificate { get; init; }

    public RequestDelegate Handler { get; init; } = context => context.Response.WriteAsync("answer");
}

/// <summary>A real HTTPS server on loopback that counts what reaches it.</summary>
internal sealed class TlsServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _requests;
    private int _connections;

    private TlsServer(TlsServerOptions options)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(
            IPAddress.Loopback, 0, listen => listen.UseHttps(new TlsHandshakeCallbackOptions
            {
                OnConnection = _ =>
                {
                    Interlocked.Increment(ref _connections);
                    return ValueTask.FromResult(Authentication(options));
                },
            })));
        _app = builder.Build();
        _app.Run(context =>
        {
            Interlocked.Increment(ref _requests);
            return options.Handler(context);
        });
    }

    public int Requests => Volatile.Read(ref _requests);

    public int Connections => Volatile.Read(ref _connections);

    public string Url => _app.Urls.Single();

    public static async Task<TlsServer> StartAsync(TlsServerOptions options)
    {
        var server = new TlsServer(options);
        await server._app.StartAsync();
        return server;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static SslServerAuthenticationOptions Authentication(TlsServerOptions options) => new()
    {
        ServerCertificate = options.Certificate,
        EnabledSslProtocols = options.Protocols,
        ClientCertificateRequired = options.RequireClientCertificate,
        RemoteCertificateValidationCallback = (_, certificate, _, _) =>
            !options.RefuseClientCertificate && (certificate is not null || !options.RequireClientCertificate),
    };
}

/// <summary>An authority at a time of its own, and certificates of it.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly CertificateAuthority _authority;

    public TestAuthority(DateTimeOffset now) => _authority = CertificateAuthority.Create("test", new StoppedClock(now));

    public byte[] Der => _authority.Certificate.RawData;

    public string Pem => _authority.Certificate.ExportCertificatePem();

    public X509Certificate2 Server(params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = _authority.IssueServer("server", names, key);
        return certificate.CopyWithPrivateKey(key);
    }

    public X509Certificate2 Agent(string id)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = _authority.IssueAgent(AgentCsr.Create(key, id), id);
        return certificate.CopyWithPrivateKey(key);
    }

    public void Dispose() => _authority.Dispose();

    private sealed class StoppedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
