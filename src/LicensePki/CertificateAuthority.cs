using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LicensePki;

/// <summary>
/// A self-signed certificate authority and its key. Server and agent certificates come from two separate ones: the
/// license server holds the agent CA's key to enrol tills, and whoever takes that key must not be able to make a
/// license server. Not thread-safe for disposal; issuing is.
/// </summary>
public sealed class CertificateAuthority : IDisposable
{
    internal const string ServerAuth = "1.3.6.1.5.5.7.3.1";
    internal const string ClientAuth = "1.3.6.1.5.5.7.3.2";

    // A till whose clock is a little behind must not find its new certificate "not yet valid".
    private static readonly TimeSpan Backdating = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan AuthorityLifetime = TimeSpan.FromDays(3650);
    private static readonly TimeSpan LeafLifetime = TimeSpan.FromDays(365);

    private readonly ECDsa _key;
    private readonly TimeProvider _time;

    private CertificateAuthority(X509Certificate2 certificate, ECDsa key, TimeProvider time)
    {
        Certificate = certificate;
        _key = key;
        _time = time;
    }

    /// <summary>The CA's certificate, without its key.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>A new ECDSA P-384 authority, valid for ten years, which may sign leaf certificates only.</summary>
    public static CertificateAuthority Create(string commonName, TimeProvider time)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var request = new CertificateRequest(NameOf(commonName), key, HashAlgorithmName.SHA384);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, critical: true));
        request.CertificateExtensions.Add(
            new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        var identifier = new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false);
        request.CertificateExtensions.Add(identifier);
        request.CertificateExtensions.Add(
            X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(identifier));
        var now = time.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now - Backdating, now + AuthorityLifetime);
        return new CertificateAuthority(X509CertificateLoader.LoadCertificate(certificate.RawData), key, time);
    }

    /// <summary>Reads an authority from its PEM certificate and PKCS #8 key.</summary>
    /// <exception cref="PkiException">A file is missing or malformed, or the key is another certificate's.</exception>
    public static CertificateAuthority Load(string certificatePath, string keyPath, TimeProvider time)
    {
        var certificate = PemFile.ReadCertificate(certificatePath);
        var key = PemFile.ReadKey(keyPath);
        if (!PemFile.IsKeyOf(key, certificate))
            throw new PkiException($"{keyPath} is not the key of {certificatePath}; put the matching pair in place");
        return new CertificateAuthority(certificate, key, time);
    }

    /// <summary>A one-year license server certificate (EKU serverAuth) for exactly these DNS names and
    /// addresses.</summary>
    public X509Certificate2 IssueServer(string commonName, IReadOnlyList<string> names, ECDsa key)
    {
        if (names.Count == 0) throw new PkiException("a server certificate needs at least one name");
        return Issue(commonName, new PublicKey(key), AlternativeNames.ForServer(names), ServerAuth, LeafLifetime);
    }

    /// <summary>Signs an agent's request: SAN exactly <c>URI:license-agent:&lt;agent_id&gt;</c>, EKU
    /// clientAuth.</summary>
    /// <exception cref="PkiException">The request is malformed or asks for something else.</exception>
    public X509Certificate2 IssueAgent(ReadOnlySpan<byte> csr, string agentId, TimeSpan? lifetime = null) =>
        Issue(agentId, AgentCsr.Check(csr, agentId), AlternativeNames.ForAgent(agentId), ClientAuth,
            lifetime ?? LeafLifetime);

    public void Dispose()
    {
        Certificate.Dispose();
        _key.Dispose();
    }

    internal string ExportKeyPem() => _key.ExportPkcs8PrivateKeyPem() + "\n";

    internal static X500DistinguishedName NameOf(string commonName)
    {
        var builder = new X500DistinguishedNameBuilder();
        builder.AddCommonName(commonName);
        return builder.Build();
    }

    private X509Certificate2 Issue(
        string commonName, PublicKey key, X509Extension names, string usage, TimeSpan lifetime)
    {
        var request = new CertificateRequest(NameOf(commonName), key, HashAlgorithmName.SHA256);
        var extensions = request.CertificateExtensions;
        extensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        extensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        extensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], critical: false));
        extensions.Add(names);
        extensions.Add(new X509SubjectKeyIdentifierExtension(key, critical: false));
        extensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(
            Certificate, includeKeyIdentifier: true, includeIssuerAndSerial: false));

        var now = _time.GetUtcNow();
        var end = now + lifetime;
        var authorityEnd = new DateTimeOffset(Certificate.NotAfter.ToUniversalTime());
        return request.Create(
            Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(_key),
            now - Backdating, end < authorityEnd ? end : authorityEnd, NewSerial());
    }

    // RFC 5280 §4.1.2.2: positive, at most 20 octets; 127 random bits cannot collide in practice.
    private static byte[] NewSerial()
    {
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        return serial;
    }
}
