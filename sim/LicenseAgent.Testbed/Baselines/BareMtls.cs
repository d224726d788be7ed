using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Hosting;

namespace LicenseAgent.Testbed.Baselines;

/// <summary>
/// What the license server's new connections are compared with, in a process of its own: Kestrel with TLS 1.3 and the
/// same certificates, that asks for a client certificate of the same CA and answers every request with a few bytes.
/// </summary>
public static class BareMtls
{
    public const string Command = "bare-mtls";
    public const string Ready = "bare_mtls_ready";

    /// <summary>Serves until it is killed.</summary>
    public static async Task<int> RunAsync(int port, string certificate, string key, string clientCa, int answerBytes)
    {
        using X509Certificate2 own = X509Certificate2.CreateFromPemFile(certificate, key);
        using X509Certificate2 authority = X509CertificateLoader.LoadCertificateFromFile(clientCa);
        SslStreamCertificateContext context = SslStreamCertificateContext.Create(own, null, offline: true);
        byte[] answer = [.. Enumerable.Repeat((byte)' ', answerBytes)];
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Loopback, port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.UseHttps(new TlsHandshakeCallbackOptions
                {
                    OnConnection = _ => ValueTask.FromResult(Options(context, authority)),
                });
            });
        });
        await using WebApplication app = builder.Build();
        app.Run(http =>
        {
            http.Response.ContentLength = answer.Length;
            return http.Response.Body.WriteAsync(answer).AsTask();
        });
        await app.StartAsync();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Ready} {port}"));
        await Task.Delay(Timeout.Infinite);
        return 0;
    }

    private static SslServerAuthenticationOptions Options(
        SslStreamCertificateContext certificate, X509Certificate2 authority)
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.Add(authority);
        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificate,
            ClientCertificateRequired = true,
            EnabledSslProtocols = SslProtocols.Tls13,
            AllowTlsResume = false,
            CertificateChainPolicy = policy,
        };
    }
}
