using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace LicenseAgent.UnitTests.Daemon.SignIn;

/// <summary>An authority of operators, and the certificates a test wants of it.</summary>
internal sealed class OperatorPki : IDisposable
{
    public static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeMilliseconds(1_900_000_000_000);

    private const string ClientAuth = "1.3.6.1.5.5.7.3.2";

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly List<IDisposable> _made = [];

    public OperatorPki(string name = "operators")
    {
        var request = new CertificateRequest($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        Authority = request.CreateSelfSigned(Start.AddYears(-1), Start.AddYears(1));
    }

    public X509Certificate2 Authority { get; }

    public byte[] CaPem => Encoding.ASCII.GetBytes(Authority.ExportCertificatePem());

    /// <summary>A certificate with its key.</summary>
    /// <param name="names">URIs among its names.</param>
    public X509Certificate2 Issue(
        string[] names, string? usage = ClientAuth, DateTimeOffset? ends = null, bool rsa = false,
        DateTimeOffset? begins = null)
    {
        using RSA? rsaKey = rsa ? RSA.Create(2048) : null;
        using ECDsa? ecKey = rsa ? null : ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = rsaKey is not null
            ? new CertificateRequest("CN=alice", rsaKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest("CN=alice", ecKey!, HashAlgorithmName.SHA256);
        if (usage is not null)
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        var alternative = new SubjectAlternativeNameBuilder();
        alternative.AddDnsName("alice.example");
        foreach (string name in names)
            alternative.AddUri(new Uri(name));
        request.CertificateExtensions.Add(alternative.Build());
        using X509Certificate2 bare = request.Create(
            Authority.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), begins ?? Start.AddDays(-1),
            ends ?? Start.AddDays(30), RandomNumberGenerator.GetBytes(8));
        X509Certificate2 whole = rsaKey is not null
            ? bare.CopyWithPrivateKey(rsaKey)
            : bare.CopyWithPrivateKey(ecKey!);
        _made.Add(whole);
        return whole;
    }

    public X509Certificate2 Issue(string role, bool rsa = false) => Issue([$"license-agent-role:{role}"], rsa: rsa);

    public byte[] Crl(DateTimeOffset nextUpdate, params X509Certificate2[] revoked)
    {
        var builder = new CertificateRevocationListBuilder();
        foreach (X509Certificate2 one in revoked)
            builder.AddEntry(one, Start.AddDays(-1));
        return builder.Build(
            Authority.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), 1, nextUpdate,
            HashAlgorithmName.SHA256,
            X509AuthorityKeyIdentifierExtension.CreateFromCertificate(Authority, true, false), Start.AddDays(-1));
    }

    public static byte[] Pem(byte[] crl) => Encoding.ASCII.GetBytes(PemEncoding.WriteString("X509 CRL", crl));

    public void Dispose()
    {
        foreach (IDisposable one in _made)
            one.Dispose();
        Authority.Dispose();
        _key.Dispose();
    }
}
