using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Daemon.Adapters.Tls;

/// <summary>
/// Judges the server's certificate on every new connection: pin, chain to the one configured authority, usage, name and
/// end of validity, each refused under a reason of its own. Dates are judged by a time that is proven, not by the clock
/// of the machine; <c>notBefore</c> not at all, because a clock that may be behind cannot judge it.
/// </summary>
internal sealed class ServerCheck(UpstreamSettings settings, X509Certificate2Collection authorities)
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1"; // RFC 5280 §4.2.1.12

    /// <summary>The policy the TLS layer builds the chain by; this class draws the conclusions.</summary>
    public X509ChainPolicy ChainPolicy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            // An authority of one till fleet publishes no CRL; a lost server key is ended by its pin.
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid,
        };
        policy.CustomTrustStore.AddRange(authorities);
        policy.ApplicationPolicy.Add(new Oid(ServerAuthentication));
        return policy;
    }

    /// <exception cref="NoContactException">Not the license server; the TLS layer hands it on.</exception>
    public bool Accept(object sender, X509Certificate? shown, X509Chain? chain, SslPolicyErrors errors)
    {
        var refusal = Judge(shown as X509Certificate2, chain, errors);
        if (refusal is not null)
            throw refusal;
        return refusal is null;
    }

    private NoContactException? Judge(X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is null || chain is null)
            return Refusal("tls_chain", "showed no certificate; check that server.url is the license server");
        var pin = SpkiPin.Of(certificate);
        if (!settings.Pins.Contains(pin.ToString(), StringComparer.Ordinal))
        {
            return Refusal("tls_pin", $"showed the key {pin}, which is none of the {settings.Pins.Count} pinned ones; "
                + "if the license server says that this is its new key, add it to server.cert_pins");
        }

        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            return ChainRefusal(chain);
        if (!IsForServers(certificate))
            return UsageRefusal();
        if (!certificate.MatchesHostname(settings.ServerName, allowWildcards: false, allowCommonName: false))
        {
            return Refusal("tls_name", $"showed a certificate without the name {settings.ServerName}; give the license "
                + "server a certificate with the name that enrolment bundles carry");
        }

        return Expired(chain) is { } old
            ? Refusal("tls_expired", $"showed a certificate that ended {old.NotAfter.ToUniversalTime():u} "
                + $"({old.Subject}); renew it")
            : null;
    }

    private static bool IsForServers(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>()
            .Any(usages => usages.EnhancedKeyUsages.Cast<Oid>().Any(usage => usage.Value == ServerAuthentication));

    private X509Certificate2? Expired(X509Chain chain)
    {
        var at = DateTimeOffset.FromUnixTimeMilliseconds(settings.VerificationTime.UnixMs).UtcDateTime;
        return chain.ChainElements.Select(element => element.Certificate)
            .FirstOrDefault(certificate => certificate.NotAfter.ToUniversalTime() < at);
    }

    private static NoContactException ChainRefusal(X509Chain chain)
    {
        var flags = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, status) => all | status.Status);
        return flags.HasFlag(X509ChainStatusFlags.NotValidForUsage)
            ? UsageRefusal()
            : Refusal("tls_chain", $"showed a certificate of another authority ({flags}); compare server.ca_cert, or "
                + "the bundle's authority, with the one that signed the license server's certificate");
    }

    private static NoContactException UsageRefusal() =>
        Refusal("tls_usage", "showed a certificate that is not for servers; issue one with usage serverAuth");

    private static NoContactException Refusal(string reason, string fact) =>
        new(reason, $"The license server {fact}.");
}
