using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Pki;

public sealed class AgentCsrTests : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly CertificateAuthority _authority =
        CertificateAuthority.Create("agents", new ManualClock(DateTimeOffset.UtcNow));

    public void Dispose()
    {
        _key.Dispose();
        _authority.Dispose();
    }

    [Fact]
    public void A_request_for_one_agent_becomes_its_client_certificate()
    {
        using var certificate = _authority.IssueAgent(AgentCsr.Create(_key, "pos-001"), "pos-001");
        Assert.Equal("pos-001", AlternativeNames.AgentIdOf(certificate));
        var usages = Assert.Single(certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>()).EnhancedKeyUsages;
        Assert.Equal("1.3.6.1.5.5.7.3.2", Assert.Single(usages.Cast<Oid>()).Value);
        Assert.True(PemFile.IsKeyOf(_key, certificate));
    }

    [Fact]
    public void An_empty_subject_is_accepted() => _ = AgentCsr.Check(Request("", AgentName), "pos-001");

    [Fact]
    public void Another_agents_name_is_refused() => Refused(AgentCsr.Create(_key, "pos-002"));

    [Fact]
    public void Another_subject_is_refused() => Refused(Request("CN=pos-002", AgentName));

    [Fact]
    public void A_further_name_is_refused() => Refused(Request("CN=pos-001", names =>
    {
        AgentName(names);
        names.AddDnsName("license.example.test");
    }));

    [Fact]
    public void A_DNS_name_in_place_of_the_URI_is_refused() =>
        Refused(Request("CN=pos-001", names => names.AddDnsName("license-agent:pos-001")));

    [Fact]
    public void No_name_is_refused() =>
        Refused(new CertificateRequest("CN=pos-001", _key, HashAlgorithmName.SHA256).CreateSigningRequest());

    [Fact]
    public void A_further_extension_is_refused()
    {
        var request = Build("CN=pos-001", AgentName);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        Refused(request.CreateSigningRequest());
    }

    [Fact]
    public void A_further_attribute_is_refused()
    {
        var request = Build("CN=pos-001", AgentName);
        // challengePassword, PKCS #9 §5.4.1
        request.OtherRequestAttributes.Add(new AsnEncodedData("1.2.840.113549.1.9.7", [0x0C, 0x01, 0x61]));
        Refused(request.CreateSigningRequest());
    }

    [Fact]
    public void A_key_on_another_curve_is_refused()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        Refused(AgentCsr.Create(key, "pos-001"));
    }

    [Fact]
    public void An_RSA_key_is_refused()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=pos-001", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        AgentName(names);
        request.CertificateExtensions.Add(names.Build());
        Refused(request.CreateSigningRequest());
    }

    [Fact]
    public void A_request_not_signed_by_its_own_key_is_refused()
    {
        var der = AgentCsr.Create(_key, "pos-001");
        der[^1] ^= 1;
        Refused(der);
    }

    [Fact]
    public void Bytes_that_are_no_request_are_refused() => Refused([0x30, 0x03, 0x02, 0x01, 0x00]);

    [Fact]
    public void Trailing_bytes_are_refused() => Refused([.. AgentCsr.Create(_key, "pos-001"), 0]);

    private static void AgentName(SubjectAlternativeNameBuilder names) =>
        names.AddUri(new Uri("license-agent:pos-001"));

    private void Refused(byte[] csr) => Assert.Throws<PkiException>(() => AgentCsr.Check(csr, "pos-001"));

    private byte[] Request(string subject, Action<SubjectAlternativeNameBuilder> names) =>
        Build(subject, names).CreateSigningRequest();

    private CertificateRequest Build(string subject, Action<SubjectAlternativeNameBuilder> names)
    {
        var builder = new SubjectAlternativeNameBuilder();
        names(builder);
        var request = new CertificateRequest(subject, _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(builder.Build());
        return request;
    }
}
