using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicensePki;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// The real daemon under a wall clock that is dead, years ahead, or jumps while it runs (libfaketime), and a till that
/// comes back after more than a year: none of it stops contact (I15).
/// </summary>
public sealed class ClockTroubleTests
{
    private const string Years = "+3650d";

    private static readonly TimeSpan OffFor = TimeSpan.FromDays(400);
    private static readonly TimeSpan Minutes = TimeSpan.FromMinutes(5);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(FakeClock.Dead, "clock_rollback")]
    [InlineData("-30d", "clock_rollback")]
    [InlineData(Years, "clock_jump")]
    public async Task Started_under_a_wrong_clock_the_till_makes_contact_rotates_and_says_so(string clock, string alert)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.RestartAgentAsync(FakeClock.At(clock));

        await WorksAsync(till);
        Assert.Contains((await till.StatusAsync()).Alerts, a => a.Id == alert);
        Assert.True(Off(await till.StatusAsync(), TimeSpan.Zero) < Minutes);
    }

    [Theory]
    [InlineData(FakeClock.Dead)]
    [InlineData(Years)]
    public async Task A_till_enrols_under_a_wrong_clock(string clock)
    {
        await using LiveTill till = await LiveTill.StartAsync(Cancel);
        await till.RestartAgentAsync(FakeClock.At(clock));

        await till.EnrolAsync();

        await WorksAsync(till);
    }

    [Fact]
    public async Task A_clock_that_jumps_while_the_agent_runs_moves_neither_trusted_now_nor_contact()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string clock = Path.Combine(till.Folder.Root, "clock");
        await File.WriteAllTextAsync(clock, "+0", Cancel);
        await till.RestartAgentAsync(FakeClock.FromFile(clock));
        foreach (string jump in (string[])["-30d", Years, FakeClock.Dead, "+40d"])
        {
            await File.WriteAllTextAsync(clock, jump, Cancel);
            await WorksAsync(till);
            ClockResponse seen = (await till.Operator.ClockAsync(Cancel)).Value;
            Assert.True(Math.Abs(seen.WallAheadMs) > TimeSpan.FromDays(29).TotalMilliseconds, $"{jump}: {seen}");
            Assert.True(Off(await till.StatusAsync(), TimeSpan.Zero) < Minutes, $"{jump}: {seen}");
        }
    }

    [Fact]
    public async Task Off_for_over_a_year_with_a_dead_battery_it_comes_back_by_itself()
    {
        // Meanwhile the server got a new certificate over its key, the till's own one ended, and so did its grace.
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.Agent.DisposeAsync();
        RenewServerCertificate(till.Pki, DateTimeOffset.UtcNow + OffFor - TimeSpan.FromDays(10));
        await till.Server.LeapAsync(OffFor, Cancel);

        await till.StartAgentAsync(FakeClock.At(FakeClock.Dead));

        await WorksAsync(till);
        Assert.True(Off(await till.StatusAsync(), OffFor) < Minutes);
        await Eventually.HoldsAsync(
            () => CertificateEnd(till) > DateTimeOffset.UtcNow + OffFor, "the till's certificate is renewed", Cancel);
        Assert.True((await till.Operator.VerifyAuditAsync(Cancel)).Value.Ok);
    }

    [Fact]
    public async Task A_server_whose_certificate_ended_is_no_contact_and_its_renewal_ends_that()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, TimeSpan.FromSeconds(1));
        await till.Agent.DisposeAsync();
        byte[] good = await File.ReadAllBytesAsync(till.Pki.ServerCertificate, Cancel);
        RenewServerCertificate(till.Pki, DateTimeOffset.UtcNow - TimeSpan.FromDays(370));
        await till.Server.LeapAsync(TimeSpan.Zero, Cancel);

        await till.StartAgentAsync();
        Assert.NotEqual("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
        Assert.Contains("tls_expired", till.Agent.Process.Said, StringComparison.Ordinal);

        await File.WriteAllBytesAsync(till.Pki.ServerCertificate, good, Cancel);
        await till.Server.LeapAsync(TimeSpan.Zero, Cancel);
        await WorksAsync(till);
    }

    /// <summary>In contact and NORMAL, and rotates to a version under which a license validates.</summary>
    private static async Task WorksAsync(LiveTill till)
    {
        await till.AgreementAsync();
        await Eventually.GetAsync(
            async () => (await till.Operator.RotateAsync(Cancel)).Value is { Outcome: "rotated" } done ? done : null,
            () => till.Agent.Process.Said, Cancel);
        Assert.True((await till.ValidateAsync(await till.Server.IssueAsync(LiveTill.Name))).IsValid);
    }

    /// <summary>How far trusted now is from this machine's clock and what the server is ahead of it.</summary>
    private static TimeSpan Off(StatusResponse status, TimeSpan ahead) =>
        (status.TrustedNow - UtcTime.From(DateTimeOffset.UtcNow + ahead)).Duration();

    /// <summary>Another certificate over the same key, as its owner renews it: the pin stays.</summary>
    private static void RenewServerCertificate(DevTree pki, DateTimeOffset from)
    {
        using CertificateAuthority authority = CertificateAuthority.Load(
            pki.ServerCaCertificate, pki.ServerCaKey, new StoppedClock(from));
        using ECDsa key = ECDsa.Create();
        key.ImportFromPem(File.ReadAllText(pki.ServerKey));
        using X509Certificate2 certificate = authority.IssueServer("license-server", ["localhost", "127.0.0.1"], key);
        File.WriteAllText(pki.ServerCertificate, certificate.ExportCertificatePem() + "\n");
    }

    private static DateTimeOffset CertificateEnd(LiveTill till)
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
