using System.Diagnostics;
using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Pki;

public sealed class DevTreeTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly ManualClock _clock = new(DateTimeOffset.UtcNow);
    private readonly DevTree _tree;

    public DevTreeTests() => _tree = DevTree.Create(
        _scratch["pki"],
        new DevTreeOptions { ServerNames = ["license.example.test", "10.1.2.3"], AgentIds = ["pos-001"] },
        _clock);

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void A_new_tree_verifies_without_findings() =>
        Assert.Empty(TreeVerification.Verify(_tree.Root, _clock));

    [Fact]
    public void OpenSsl_accepts_the_server_certificate_for_each_of_its_names()
    {
        string[] server = ["-x509_strict", "-purpose", "sslserver", "-CAfile", _tree.ServerCaCertificate];
        Assert.Equal(0, OpenSslVerify([.. server, "-verify_hostname", "localhost", _tree.ServerCertificate]));
        string[] given = [.. server, "-verify_hostname", "license.example.test"];
        Assert.Equal(0, OpenSslVerify([.. given, _tree.ServerCertificate]));
        Assert.Equal(0, OpenSslVerify([.. server, "-verify_ip", "127.0.0.1", _tree.ServerCertificate]));
        Assert.Equal(0, OpenSslVerify([.. server, "-verify_ip", "::1", _tree.ServerCertificate]));
        Assert.Equal(0, OpenSslVerify([.. server, "-verify_ip", "10.1.2.3", _tree.ServerCertificate]));
        Assert.NotEqual(0, OpenSslVerify([.. server, "-verify_hostname", "other.test", _tree.ServerCertificate]));
    }

    [Fact]
    public void OpenSsl_accepts_an_agent_certificate_as_client_and_not_as_server()
    {
        string[] chain = ["-x509_strict", "-CAfile", _tree.AgentCaCertificate];
        var agent = _tree.AgentCertificate("pos-001");
        Assert.Equal(0, OpenSslVerify([.. chain, "-purpose", "sslclient", agent]));
        Assert.NotEqual(0, OpenSslVerify([.. chain, "-purpose", "sslserver", agent]));
    }

    [Fact]
    public void OpenSsl_does_not_accept_an_agent_certificate_under_the_server_authority() =>
        Assert.NotEqual(0, OpenSslVerify(
            ["-CAfile", _tree.ServerCaCertificate, "-purpose", "sslclient", _tree.AgentCertificate("pos-001")]));

    [Fact]
    public void Every_key_is_readable_by_its_owner_alone()
    {
        var keys = Directory.GetFiles(_tree.Root, "*.key", SearchOption.AllDirectories);
        Assert.Equal(4, keys.Length);
        Assert.All(keys, key => Assert.Equal(DurableFile.KeyMode, File.GetUnixFileMode(key)));
    }

    [Fact]
    public void A_tree_is_never_overwritten() =>
        Assert.Throws<PkiException>(() => DevTree.Create(_tree.Root, new DevTreeOptions(), _clock));

    [Fact]
    public void A_key_readable_by_others_is_found()
    {
        File.SetUnixFileMode(_tree.AgentCaKey, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        AssertOneFinding(_tree.AgentCaKey, "0600");
    }

    [Fact]
    public void A_key_of_another_certificate_is_found()
    {
        File.Copy(_tree.ServerKey, _tree.AgentKey("pos-001"), overwrite: true);
        AssertOneFinding(_tree.AgentKey("pos-001"), "is not the key of");
    }

    [Fact]
    public void An_expired_certificate_is_found()
    {
        _clock.Now += TimeSpan.FromDays(366);
        var findings = TreeVerification.Verify(_tree.Root, _clock);
        Assert.Equal(
            [_tree.ServerCertificate, _tree.AgentCertificate("pos-001")], findings.Select(finding => finding.Path));
        Assert.All(findings, finding => Assert.Contains("expired", finding.Fact, StringComparison.Ordinal));
    }

    [Fact]
    public void A_certificate_in_the_wrong_folder_is_found()
    {
        File.Copy(_tree.AgentCertificate("pos-001"), Path.Combine(_tree.Root, "server", "pos-001.crt"));
        File.Copy(_tree.AgentKey("pos-001"), Path.Combine(_tree.Root, "server", "pos-001.key"));
        var facts = TreeVerification.Verify(_tree.Root, _clock).Select(finding => finding.Fact).ToArray();
        Assert.Contains(facts, fact => fact.Contains("does not chain", StringComparison.Ordinal));
        Assert.Contains(facts, fact => fact.Contains("extended key usage", StringComparison.Ordinal));
    }

    [Fact]
    public void A_certificate_under_another_agents_name_is_found()
    {
        File.Move(_tree.AgentCertificate("pos-001"), _tree.AgentCertificate("pos-002"));
        File.Move(_tree.AgentKey("pos-001"), _tree.AgentKey("pos-002"));
        AssertOneFinding(_tree.AgentCertificate("pos-002"), "URI:license-agent:pos-002");
    }

    [Fact]
    public void A_missing_authority_is_found()
    {
        File.Delete(_tree.ServerCaCertificate);
        var findings = TreeVerification.Verify(_tree.Root, _clock);
        Assert.Contains(findings, finding => finding.Path == _tree.ServerCaCertificate);
        Assert.Contains(findings, finding => finding.Path == _tree.ServerCertificate);
    }

    private void AssertOneFinding(string path, string fact)
    {
        var finding = Assert.Single(TreeVerification.Verify(_tree.Root, _clock));
        Assert.Equal(path, finding.Path);
        Assert.Contains(fact, finding.Fact, StringComparison.Ordinal);
    }

    private static int OpenSslVerify(string[] arguments)
    {
        var start = new ProcessStartInfo("openssl", ["verify", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
