using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.LocalApi.SignIn;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using LicenseAgent.UnitTests.Daemon.LocalApi;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.SignIn;

/// <summary>
/// A challenge is signed once, in time, where it was asked for; a session is its user's, for five minutes.
/// </summary>
public sealed class SessionTests : IDisposable
{
    private const uint Uid = SignInBench.AdminUid;

    private readonly SignInBench _bench = new(requireCertificate: true);

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_begins_with_either_kind_of_key(bool rsa)
    {
        string? session = await _bench.SessionAsync(Uid, _bench.Pki.Issue("admin", rsa));
        Assert.Equal(200, (await _bench.SendAsync("POST", "/v1/rotate", Uid, session: session)).Status);
    }

    [Theory]
    [InlineData(59_999, 200)]
    [InlineData(60_000, 403)]
    public async Task A_challenge_holds_for_sixty_seconds(long laterMs, int status)
    {
        Digest32 challenge = await _bench.ChallengeAsync(Uid);
        _bench.Bench.Clock.BootMs += laterMs;
        Assert.Equal(status, (await _bench.SignAsync(Uid, challenge, _bench.Admin)).Status);
    }

    [Fact]
    public async Task A_challenge_is_good_once()
    {
        Digest32 challenge = await _bench.ChallengeAsync(Uid);
        await _bench.SignAsync(Uid, challenge, _bench.Admin);
        Assert.Equal(403, (await _bench.SignAsync(Uid, challenge, _bench.Admin)).Status);
    }

    [Fact]
    public async Task A_challenge_is_used_up_by_a_wrong_signature()
    {
        Digest32 challenge = await _bench.ChallengeAsync(Uid);
        await _bench.SignAsync(Uid, challenge, _bench.Admin, signedUid: 1);
        Assert.Equal(403, (await _bench.SignAsync(Uid, challenge, _bench.Admin)).Status);
    }

    [Fact]
    public async Task A_challenge_of_another_connection_is_none()
    {
        Digest32 challenge = await _bench.ChallengeAsync(Uid, connection: 1);
        Assert.Equal(403, (await _bench.SignAsync(Uid, challenge, _bench.Admin, connection: 2)).Status);
    }

    [Fact]
    public async Task The_newer_challenge_of_a_connection_replaces_the_older()
    {
        Digest32 first = await _bench.ChallengeAsync(Uid);
        await _bench.ChallengeAsync(Uid);
        Assert.Equal(403, (await _bench.SignAsync(Uid, first, _bench.Admin)).Status);
    }

    [Theory]
    [InlineData("license-agent/management/v1|pos-002|1000|{0}")]
    [InlineData("license-agent/management/v1|pos-001|1001|{0}")]
    [InlineData("license-agent/management/v2|pos-001|1000|{0}")]
    [InlineData("{0}")]
    public async Task Another_text_that_is_signed_begins_nothing(string text)
    {
        Digest32 challenge = await _bench.ChallengeAsync(Uid);
        byte[] signed = Encoding.ASCII.GetBytes(text.Replace("{0}", challenge.ToString(), StringComparison.Ordinal));
        Assert.Equal(403, (await _bench.SignTextAsync(Uid, signed, _bench.Admin)).Status);
    }

    [Fact]
    public async Task A_key_of_another_certificate_begins_nothing()
    {
        Digest32 challenge = await _bench.ChallengeAsync(Uid);
        using OperatorPki strangers = new("strangers");
        Assert.Equal(403, (await _bench.SignAsync(Uid, challenge, strangers.Issue("admin"))).Status);
    }

    [Theory]
    [InlineData(299_999, 200)]
    [InlineData(300_000, 401)]
    public async Task A_session_ends_after_five_minutes(long laterMs, int status)
    {
        string? session = await _bench.SessionAsync(Uid, _bench.Admin);
        _bench.Bench.Clock.BootMs += laterMs;
        Assert.Equal(status, (await _bench.SendAsync("GET", "/v1/status", Uid, session: session)).Status);
    }

    [Theory]
    [InlineData(60_000, 200)]
    [InlineData(61_001, 401)]
    public async Task A_session_ends_with_its_certificate(long laterMs, int status)
    {
        X509Certificate2 certificate =
            _bench.Pki.Issue(["license-agent-role:admin"], ends: OperatorPki.Start.AddSeconds(61));
        string? session = await _bench.SessionAsync(Uid, certificate);
        _bench.Bench.Clock.BootMs += laterMs;
        Assert.Equal(status, (await _bench.SendAsync("GET", "/v1/status", Uid, session: session)).Status);
    }

    [Fact]
    public async Task A_session_is_of_no_use_to_another_user()
    {
        string? session = await _bench.SessionAsync(Uid, _bench.Admin);
        (int status, string body) =
            await _bench.SendAsync("GET", "/v1/status", SignInBench.OtherAdminUid, session: session);
        Assert.Equal(401, status);
        Assert.Contains("session_ended", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reload_ends_every_session()
    {
        string? session = await _bench.SessionAsync(Uid, _bench.Admin);
        _bench.Use(_bench.Management);
        Assert.Equal(401, (await _bench.SendAsync("GET", "/v1/status", Uid, session: session)).Status);
    }

    [Fact]
    public void A_certificate_judged_before_a_reload_begins_no_session_after_it()
    {
        var sessions = new Sessions(new OsBytes(), _bench.Bench.Clock);
        OperatorIdentity who = new("CN=alice", Role.Admin, OperatorPki.Start.AddDays(1));
        long before = sessions.Epoch;
        sessions.EndAll();
        Assert.Null(sessions.Begin(Uid, who, Sessions.Lifetime, before));
        Assert.NotNull(sessions.Begin(Uid, who, Sessions.Lifetime, sessions.Epoch));
    }

    [Theory]
    [InlineData(null, AuditOutcome.Ok)]
    [InlineData(1u, AuditOutcome.Refused)]
    public async Task A_sign_in_is_recorded_with_the_subject_whatever_comes_of_it(uint? signed, AuditOutcome outcome)
    {
        Digest32 challenge = await _bench.ChallengeAsync(Uid);
        _bench.Journal.Calls.Clear();
        await _bench.SignAsync(Uid, challenge, _bench.Admin, signedUid: signed);
        AuditEntry record = Assert.Single(_bench.Journal.Calls);
        Assert.Equal<AuditValue>("CN=alice", record.Detail("subject"));
        Assert.Equal(outcome, record.Outcome);
    }

    [Fact]
    public async Task A_reload_takes_a_role_from_who_is_connected()
    {
        string? session = await _bench.SessionAsync(Uid, _bench.Admin);
        _bench.Use(_bench.Management with { AdminUids = [SignInBench.OtherAdminUid] });
        Assert.Equal(403, (await _bench.SendAsync("POST", ManagementPaths.Challenge, Uid, session: session)).Status);
    }

    [Fact]
    public async Task A_certificate_never_gives_more_than_the_user_has()
    {
        string? session = await _bench.SessionAsync(SignInBench.ViewerUid, _bench.Admin);
        Assert.Equal(
            403, (await _bench.SendAsync("POST", "/v1/rotate", SignInBench.ViewerUid, session: session)).Status);
    }

    [Fact]
    public async Task A_user_with_many_sessions_loses_the_oldest()
    {
        string? first = await _bench.SessionAsync(Uid, _bench.Admin);
        for (int i = 0; i < 16; i++)
        {
            _bench.Bench.Clock.BootMs++;
            await _bench.SessionAsync(Uid, _bench.Admin);
        }
        Assert.Equal(401, (await _bench.SendAsync("GET", "/v1/status", Uid, session: first)).Status);
    }

    [Fact]
    public async Task More_challenges_than_are_kept_are_429_until_the_old_ones_end()
    {
        for (int connection = 0; connection < 64; connection++)
            await _bench.ChallengeAsync(Uid, connection);
        Assert.Equal(429, (await _bench.SendAsync("POST", ManagementPaths.Challenge, Uid, connection: 99)).Status);
        _bench.Bench.Clock.BootMs += 60_000;
        Assert.Equal(200, (await _bench.SendAsync("POST", ManagementPaths.Challenge, Uid, connection: 99)).Status);
    }

    [Theory]
    [InlineData("""{"certificate_chain":[],"signature":""}""", 403)]
    [InlineData("""{"certificate_chain":["AAAA"],"signature":"AAAA"}""", 403)]
    [InlineData("""{"certificate_chain":["A=A"],"signature":"AAAA"}""", 403)]
    [InlineData("""{"certificate_chain":["AA","AA","AA","AA","AA"],"signature":"AAAA"}""", 403)]
    [InlineData("""{"certificate_chain":[null],"signature":"AAAA"}""", 403)]
    [InlineData("""{"certificate_chain":"AAAA","signature":"AAAA"}""", 400)]
    [InlineData("""{"certificate_chain":[],"signature":"","role":"admin"}""", 400)]
    [InlineData("""{}""", 400)]
    public async Task What_is_no_chain_is_refused_in_order(string json, int status)
    {
        await _bench.ChallengeAsync(Uid);
        Assert.Equal(status, (await _bench.SendAsync("POST", ManagementPaths.Session, Uid, json)).Status);
    }

    [Theory]
    [InlineData(63)]
    [InlineData(65)]
    [InlineData(0)]
    public async Task A_signature_of_another_length_is_refused_in_order(int bytes)
    {
        await _bench.ChallengeAsync(Uid);
        string json = $$"""
            {"certificate_chain":["{{Base64UrlText.Encode(_bench.Admin.RawData)}}"],
            "signature":"{{Base64UrlText.Encode(new byte[bytes])}}"}
            """;
        Assert.Equal(403, (await _bench.SendAsync("POST", ManagementPaths.Session, Uid, json)).Status);
    }

    [Fact]
    public async Task Calls_that_come_too_fast_are_429_and_counted_together()
    {
        for (int i = 0; i < 200; i++)
            await _bench.SendAsync("GET", "/v1/health", Uid);
        _bench.Journal.Calls.Clear();
        Assert.Equal(429, (await _bench.SendAsync("GET", "/v1/health", Uid)).Status);
        Assert.Equal(429, (await _bench.SendAsync("GET", "/v1/health", Uid)).Status);
        Assert.Empty(_bench.Journal.Calls);
        Assert.Equal<AuditValue>("rate_limited", Assert.Single(_bench.Journal.Notes).Detail("why"));
    }

    [Fact]
    public async Task A_session_is_not_in_the_audit_log()
    {
        string? session = await _bench.SessionAsync(Uid, _bench.Admin);
        await _bench.SendAsync("GET", "/v1/status", Uid, session: session);
        Assert.DoesNotContain(
            _bench.Journal.Calls, record => record.Details.Any(detail => $"{detail.Value}".Contains(session!)));
    }
}
