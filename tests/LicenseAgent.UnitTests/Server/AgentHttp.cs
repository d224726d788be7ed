using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The agent's HTTP client: TLS 1.3, the server's CA alone, perhaps a client certificate.</summary>
internal static class AgentHttp
{
    public static HttpClient Client(
        ServerHarness server, X509Certificate2? certificate, SslProtocols protocols = SslProtocols.Tls13,
        TlsCipherSuite? suite = null)
    {
        // The test's clock is not the machine's, so the server's chain is judged at the time at which it was made.
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            VerificationTime = ServerHarness.Begin.UtcDateTime,
        };
        policy.CustomTrustStore.Add(X509CertificateLoader.LoadCertificateFromFile(server.Tree.ServerCaCertificate));
        var handler = new SocketsHttpHandler { Expect100ContinueTimeout = TimeSpan.FromSeconds(30) };
        handler.SslOptions.EnabledSslProtocols = protocols;
        handler.SslOptions.CertificateChainPolicy = policy;
        if (suite is { } only) handler.SslOptions.CipherSuitesPolicy = new CipherSuitesPolicy([only]);
        if (certificate is not null)
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, null, true);
        return new HttpClient(handler);
    }

    public static Task<HttpResponseMessage> PostAsync(
        HttpClient client, ServerHarness server, string path, byte[] body, CancellationToken cancel)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new("application/jose");
        return client.PostAsync(new Uri(server.App.AgentUrl, path), content, cancel);
    }
}
