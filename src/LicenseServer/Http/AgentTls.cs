using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicensePki;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace LicenseServer.Http;

/// <summary>
/// TLS of the agent API: 1.3 only, AEAD suites, a client certificate asked for and judged here. A handshake without
/// one succeeds, because enrolment has none yet; what needs one refuses later.
/// </summary>
internal sealed class AgentTls : IDisposable
{
    private const string ClientAuth = "1.3.6.1.5.5.7.3.2";

    /// <summary>A till that stood in a cellar for so long may still come back and renew.</summary>
    private static readonly TimeSpan ExpiredMax = TimeSpan.FromDays(731);

    private static readonly TimeSpan HandshakeMax = TimeSpan.FromSeconds(10);

    private static readonly CipherSuitesPolicy Suites = new(
    [
        TlsCipherSuite.TLS_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_AES_128_GCM_SHA256,
    ]);

    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2 _agentCa;
    private readonly SslStreamCertificateContext _context;
    private readonly TimeProvider _time;

    /// <exception cref="PkiException">A file is missing or malformed, or the key is another certificate's.</exception>
    public AgentTls(ServerOptions options, TimeProvider time)
    {
        _time = time;
        _agentCa = PemFile.ReadCertificate(options.AgentCaCertFile);
        using var publicPart = PemFile.ReadCertificate(options.TlsCertFile);
        using var key = PemFile.ReadKey(options.TlsKeyFile);
        if (!PemFile.IsKeyOf(key, publicPart))
        {
            throw new PkiException(
                $"{options.TlsKeyFile} is not the key of {options.TlsCertFile}; put the matching pair in place");
        }

        _certificate = publicPart.CopyWithPrivateKey(key);
        _context = SslStreamCertificateContext.Create(_certificate, additionalCertificates: null, offline: true);
    }

    public DateTimeOffset CertificateEnds => _certificate.NotAfter;

    public void Apply(ListenOptions listen)
    {
        listen.Protocols = HttpProtocols.Http1;
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = _ => ValueTask.FromResult(ForConnection()),
            HandshakeTimeout = HandshakeMax,
        });
    }

    public void Dispose()
    {
        _certificate.Dispose();
        _agentCa.Dispose();
    }

    // Made per connection: the time at which a chain is judged is part of its policy.
    private SslServerAuthenticationOptions ForConnection()
    {
        var now = _time.GetUtcNow();
        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _context,
            ClientCertificateRequired = true,
            EnabledSslProtocols = SslProtocols.Tls13,
            CipherSuitesPolicy = Suites,
            // A resumed session loses the client certificate.
            AllowTlsResume = false,
            AllowRenegotiation = false,
            ApplicationProtocols = [SslApplicationProtocol.Http11],
            CertificateChainPolicy = PolicyAt(now),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                IsAcceptable(certificate as X509Certificate2, chain, errors, now),
        };
    }

    private X509ChainPolicy PolicyAt(DateTimeOffset now)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationTime = now.UtcDateTime,
        };
        policy.CustomTrustStore.Add(_agentCa);
        policy.ApplicationPolicy.Add(new Oid(ClientAuth));
        return policy;
    }

    private static bool IsAcceptable(
        X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors, DateTimeOffset now)
    {
        if (certificate is null) return true;
        if (errors == SslPolicyErrors.None) return true;
        if (errors != SslPolicyErrors.RemoteCertificateChainErrors || chain is null) return false;

        // Whatever else is wrong with it, or with the CA above it, ends the handshake.
        var isOnlyExpired = chain.ChainElements
            .Select((element, depth) => (depth, element.ChainElementStatus))
            .All(entry => entry.ChainElementStatus.All(
                status => entry.depth == 0 && status.Status == X509ChainStatusFlags.NotTimeValid));
        return isOnlyExpired && certificate.NotBefore <= now.LocalDateTime
            && now.LocalDateTime - certificate.NotAfter <= ExpiredMax;
    }
}
