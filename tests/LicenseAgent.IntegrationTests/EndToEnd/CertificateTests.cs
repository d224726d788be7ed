using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Protocol.Management;
using LicensePki;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>Client certificates that are over, renewed, or refused, with real TLS between real processes.</summary>
public sealed class CertificateTests
{
    private static readonly TimeSpan HalfAYear = TimeSpan.FromDays(180);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_till_whose_certificate_expired_months_ago_makes_contact_and_renews_it()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.Agent.DisposeAsync();
        Write(till, "tls.pem", till.Pki.AgentCaCertificate, till.Pki.AgentCaKey, DateTimeOffset.UtcNow - HalfAYear, 30);

        await till.StartAgentAsync();

        await Eventually.GetAsync(
            () => Task.FromResult(EndOf(till) > DateTimeOffset.UtcNow.UtcDateTime ? till : null),
            () => till.Agent.Process.Said, Cancel);
        RotateOutcome rotated = (await till.Operator.RotateAsync(Cancel)).Value;
        Assert.Equal("rotated", rotated.Outcome);
        Assert.True(File.Exists(Path.Combine(till.Folder.State, "tls.pem.prev")));
    }

    [Fact]
    public async Task The_certificate_before_is_shown_when_the_server_refuses_the_one_in_use()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.Agent.DisposeAsync();
        File.Move(Path.Combine(till.Folder.State, "tls.pem"), Path.Combine(till.Folder.State, "tls.pem.prev"));
        DevTree other = DevTree.Create(
            Path.Combine(till.Folder.State, "..", "other-pki"), new DevTreeOptions(), TimeProvider.System);
        Write(till, "tls.pem", other.AgentCaCertificate, other.AgentCaKey, DateTimeOffset.UtcNow, 300);
        DateTimeOffset before = DateTimeOffset.UtcNow;

        await till.StartAgentAsync();

        await Eventually.GetAsync(
            async () => (await till.StatusAsync()).LastContact is { } contact
                && contact.UnixMs > before.ToUnixTimeMilliseconds() ? till : null,
            () => till.Agent.Process.Said, Cancel);
    }

    /// <summary>A certificate of the till's name over a key of its own, as a till's file.</summary>
    private static void Write(
        LiveTill till, string file, string authorityCertificate, string authorityKey, DateTimeOffset from, int days)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using CertificateAuthority authority = CertificateAuthority.Load(
            authorityCertificate, authorityKey, new StoppedClock(from));
        using X509Certificate2 certificate = authority.IssueAgent(
            TillFiles.CertificateRequestOf(key, LiveTill.Name), LiveTill.Name, TimeSpan.FromDays(days));
        File.WriteAllText(
            Path.Combine(till.Folder.State, file),
            $"{key.ExportPkcs8PrivateKeyPem()}\n{certificate.ExportCertificatePem()}\n");
    }

    private static DateTime EndOf(LiveTill till)
    {
        using X509Certificate2 certificate = X509Certificate2.CreateFromPem(
            File.ReadAllText(Path.Combine(till.Folder.State, "tls.pem")));
        return certificate.NotAfter.ToUniversalTime();
    }

    private sealed class StoppedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
