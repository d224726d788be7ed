using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.Config;
using LicenseAgent.UnitTests.Daemon.SignIn;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Config;

/// <summary>What <c>[management]</c> says of certificates and HTTPS, with the files it names.</summary>
public sealed class ManagementConfigTests : IDisposable
{
    private const string Https = """
        https_listen = "127.0.0.1:8444"
        https_cert = "/https.pem"
        https_key = "/https.key"
        """;

    private readonly OperatorPki _pki = new();
    private readonly OperatorPki _other = new("others");
    private readonly Dictionary<string, byte[]> _files = [];

    public ManagementConfigTests()
    {
        X509Certificate2 server = _pki.Issue([], usage: null);
        _files["/ca.pem"] = _pki.CaPem;
        _files["/own.crl"] = _pki.Crl(OperatorPki.Start.AddDays(1));
        _files["/other.crl"] = _other.Crl(OperatorPki.Start.AddDays(1));
        _files["/https.pem"] = Encoding.ASCII.GetBytes(server.ExportCertificatePem());
        _files["/https.key"] = Encoding.ASCII.GetBytes(server.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        _files["/empty.pem"] = [];
    }

    public void Dispose()
    {
        _pki.Dispose();
        _other.Dispose();
    }

    [Fact]
    public void Authority_list_and_HTTPS_are_read()
    {
        ConfigOutcome outcome = Read($"""
            ca_cert = "/ca.pem"
            crl = "/own.crl"
            require_certificate = true
            {Https}
            """);
        Assert.Empty(outcome.Errors);
        ManagementConfig management = outcome.Config!.Management;
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:8444"), management.Https!.Listen);
        Assert.True(management.RequireCertificate);
        Assert.NotNull(management.Crl);
    }

    [Theory]
    [InlineData("require_certificate = true", "require_certificate needs ca_cert")]
    [InlineData("crl = \"/own.crl\"", "crl needs ca_cert")]
    [InlineData("ca_cert = \"/missing.pem\"", "cannot be read")]
    [InlineData("ca_cert = \"/empty.pem\"", "holds no certificate")]
    [InlineData("ca_cert = \"/ca.pem\"\ncrl = \"/other.crl\"", "signed by an authority of ca_cert")]
    [InlineData("ca_cert = \"/ca.pem\"\ncrl = \"/ca.pem\"", "holds no X509 CRL")]
    [InlineData("https_cert = \"/https.pem\"\nhttps_key = \"/https.key\"", "https_cert is for https_listen")]
    [InlineData("ca_cert = \"/ca.pem\"\nhttps_cert = \"/https.pem\"", "belong together")]
    public void A_mistake_is_told_with_what_to_do(string lines, string says) =>
        Assert.Contains(says, Assert.Single(Read(lines).Errors).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("0.0.0.0:8444")]
    [InlineData("192.0.2.1:8444")]
    [InlineData("[::]:8444")]
    [InlineData("localhost:8444")]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1:0")]
    public void HTTPS_listens_on_a_loopback_address_alone(string listen)
    {
        string lines = "ca_cert = \"/ca.pem\"\n" + Https.Replace("127.0.0.1:8444", listen, StringComparison.Ordinal);
        Assert.Contains(
            "no place to listen", Assert.Single(Read(lines).Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void HTTPS_without_its_files_names_each_that_is_missing() => Assert.Equal(
        ["https_listen needs https_cert", "https_listen needs https_key", "https_listen needs ca_cert"],
        Read("https_listen = \"[::1]:8444\"").Errors.Select(error => error.Message));

    private ConfigOutcome Read(string lines) => ConfigReader.Read(
        Encoding.UTF8.GetBytes("[management]\n" + lines + "\n"), new Dictionary<string, string>(),
        path => _files.TryGetValue(path, out byte[]? content)
            ? new NamedFile(content, null)
            : new NamedFile(null, "no such file"));
}
