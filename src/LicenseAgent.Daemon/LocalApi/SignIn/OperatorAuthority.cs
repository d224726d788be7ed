using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.LocalApi.SignIn;

/// <summary>Who somebody is by certificate, or why nobody.</summary>
internal readonly record struct Judgement(OperatorIdentity? Operator, string? Refusal);

/// <summary>
/// Judges operators' certificates: chain to <c>management.ca_cert</c>, for clients, not on <c>management.crl</c>, one
/// role in its name. Ends are judged by trusted now; beginnings not at all, because a clock that may be behind cannot
/// judge them. Immutable; certificates live as long as the process.
/// </summary>
internal sealed class OperatorAuthority
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2"; // RFC 5280 §4.2.1.12

    private readonly X509Certificate2Collection _authorities = [];
    private readonly IReadOnlyList<RevocationList>? _lists;

    private OperatorAuthority(byte[] caPem, byte[]? crl)
    {
        _authorities.ImportFromPem(System.Text.Encoding.ASCII.GetString(caPem));
        _lists = crl is null ? null : RevocationList.ReadAll(crl);
    }

    /// <param name="caPem">One or more roots.</param>
    /// <param name="crl">Revocation lists; <see langword="null"/>: nothing is revoked.</param>
    /// <exception cref="CryptographicException">One of the files cannot be used; the message says why.</exception>
    public static OperatorAuthority Read(byte[] caPem, byte[]? crl)
    {
        var authority = new OperatorAuthority(caPem, crl);
        if (authority._authorities.Count == 0)
            throw new CryptographicException("the file holds no certificate in PEM");
        if (authority._lists is { } lists && !lists.Any(list => authority._authorities.Any(ca => IsFrom(list, ca))))
            throw new CryptographicException("no revocation list in the file is signed by an authority of ca_cert");
        return authority;
    }

    /// <param name="certificate">The operator's own.</param>
    /// <param name="others">What may lead from it to the authority.</param>
    public Judgement Judge(X509Certificate2 certificate, X509Certificate2Collection others, UtcTime trustedNow)
    {
        try
        {
            return JudgeChain(certificate, others, DateTimeOffset.FromUnixTimeMilliseconds(trustedNow.UnixMs));
        }
        catch (Exception e) when (e is CryptographicException or AsnContentException)
        {
            return Refused("cannot be read");
        }
    }

    private Judgement JudgeChain(X509Certificate2 certificate, X509Certificate2Collection others, DateTimeOffset now)
    {
        using X509Chain chain = new();
        chain.ChainPolicy = Policy(others, now);
        bool builds = chain.Build(certificate);
        X509Certificate2[] path = [.. chain.ChainElements.Select(element => element.Certificate)];
        try
        {
            if (path.FirstOrDefault(c => c.NotAfter < now) is { } old)
                return Refused($"has ended ({old.Subject}, {old.NotAfter.ToUniversalTime():u}); renew it");
            if (!builds)
                return Refused($"does not lead to an authority of management.ca_cert ({Flags(chain)})");
            if (!IsForClients(certificate))
                return Refused("is not for clients; issue one with the extended usage clientAuth");
            if (OperatorCertificate.RoleOf(certificate) is not (Role.Viewer or Role.Admin))
                return Refused("carries no role; issue one with one name URI:license-agent-role:viewer or :admin");
            if (Revoked(path, now) is { } revoked)
                return Refused(revoked);
            return new Judgement(
                new OperatorIdentity(
                    certificate.Subject, OperatorCertificate.RoleOf(certificate), path.Min(c => c.NotAfter)),
                null);
        }
        finally
        {
            foreach (X509Certificate2 element in path)
                element.Dispose();
        }
    }

    private X509ChainPolicy Policy(X509Certificate2Collection others, DateTimeOffset now)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck, // the platform rejects good certificates without a cached list
            DisableCertificateDownloads = true,
            VerificationTime = now.UtcDateTime,
            VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid, // ends are judged by the caller
        };
        policy.CustomTrustStore.AddRange(_authorities);
        policy.ExtraStore.AddRange(others);
        policy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        return policy;
    }

    private static bool IsForClients(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>()
            .Any(usages => usages.EnhancedKeyUsages.Cast<Oid>().Any(usage => usage.Value == ClientAuthentication))
        && certificate.Extensions.OfType<X509KeyUsageExtension>()
            .All(usage => usage.KeyUsages.HasFlag(X509KeyUsageFlags.DigitalSignature));

    /// <summary>
    /// The operator's certificate needs a list of its issuer that is not out of date; authorities between need none,
    /// and are held to theirs where there is one.
    /// </summary>
    private string? Revoked(X509Certificate2[] path, DateTimeOffset now)
    {
        for (int i = 0; _lists is not null && i + 1 < path.Length; i++)
        {
            RevocationList? list = _lists.Where(known => IsFrom(known, path[i + 1])).MaxBy(known => known.IssuedAt);
            if (list is null && i == 0)
                return "was issued by an authority without a list in management.crl; add its list";
            if (list?.NextUpdate < now)
                return "cannot be judged: management.crl is past its next update; put a newer one there and reload";
            if (list?.Revokes(path[i]) == true)
                return $"is revoked ({path[i].Subject})";
        }
        return null;
    }

    private static bool IsFrom(RevocationList list, X509Certificate2 authority) =>
        list.IsOf(authority.SubjectName) && list.IsSignedBy(authority);

    private static X509ChainStatusFlags Flags(X509Chain chain) =>
        chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, status) => all | status.Status);

    private static Judgement Refused(string why) => new(null, $"The certificate {why}.");
}
