using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Messages;
using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>Who is let in with a token, and what it ends.</summary>
public abstract class EnrollmentContract : ServerContract
{
    [Fact]
    public async Task The_answer_brings_a_certificate_for_the_agents_own_key_and_the_policy()
    {
        var agent = Server.NewAgent("pos-001");
        var answer = await agent.EnrolAsync(await Server.AddAsync("pos-001"));
        Assert.True(Base64UrlText.TryDecode(answer.CertificateChain[0], out var der));
        using var certificate = X509CertificateLoader.LoadCertificate(der);
        Assert.True(PemFile.IsKeyOf(agent.TlsKey, certificate));
        Assert.Equal(new AgentPolicy(86_400, 604_800, 900), answer.Policy);
        Assert.Equal(0, answer.HighestVersion);
    }

    [Fact]
    public async Task An_unknown_token_is_refused_signed()
    {
        var bundle = await Server.AddAsync("pos-001") with { EnrollmentToken = Digest32.Sha256([1]) };
        await RefusedAsync(Server.NewAgent("pos-001"), bundle);
    }

    [Fact]
    public async Task A_token_of_another_agent_is_refused()
    {
        var bundle = await Server.AddAsync("pos-001");
        await Server.AddAsync("pos-002");
        await RefusedAsync(Server.NewAgent("pos-002"), bundle);
    }

    [Fact]
    public async Task A_token_is_good_for_24_hours()
    {
        var bundle = await Server.AddAsync("pos-001");
        Server.Pass(TimeSpan.FromHours(24));
        await RefusedAsync(Server.NewAgent("pos-001"), bundle);
    }

    [Fact]
    public async Task A_used_token_is_refused_to_another_key_and_audited()
    {
        var bundle = await Server.AddAsync("pos-001");
        await Server.NewAgent("pos-001").EnrolAsync(bundle);
        await RefusedAsync(Server.NewAgent("pos-001"), bundle);
        Audited("token_reused");
    }

    [Fact]
    public async Task A_used_token_is_refused_to_its_own_key_after_24_hours()
    {
        var bundle = await Server.AddAsync("pos-001");
        var agent = Server.NewAgent("pos-001");
        await agent.EnrolAsync(bundle);
        Server.Pass(TimeSpan.FromHours(24));
        await RefusedAsync(agent, bundle);
    }

    [Fact]
    public async Task A_new_bundle_ends_the_one_that_was_not_used()
    {
        var first = await Server.AddAsync("pos-001");
        var second = await Server.AddAsync("pos-001");
        await RefusedAsync(Server.NewAgent("pos-001"), first);
        await Server.NewAgent("pos-001").EnrolAsync(second);
    }

    [Fact]
    public async Task A_request_not_signed_by_the_key_it_brings_is_refused_unsigned()
    {
        var request = Server.NewAgent("pos-001").EnrollRequest(await Server.AddAsync("pos-001"));
        var other = Server.NewAgent("pos-001");
        Assert.Null(await other.AskAsync(AgentActions.Enroll, other.Sign(request)));
    }

    [Fact]
    public async Task Enrolling_anew_ends_every_earlier_version_and_key()
    {
        var old = await ActiveAsync(2);
        await old.PrepareAsync();
        var agent = Server.NewAgent("pos-001");
        var answer = await agent.EnrolAsync(await Server.AddAsync("pos-001"));
        Assert.Equal(3, answer.HighestVersion);
        Assert.Equal("IIB", Server.States());
        Assert.Null(await old.AskAsync(AgentActions.CheckIn, old.Sign(old.CheckInRequest())));
        Assert.Equal(4, (await agent.PrepareAsync()).SecretVersion);
    }

    [Fact]
    public async Task Until_the_bundle_is_used_the_agent_goes_on_with_its_keys()
    {
        var agent = await ActiveAsync(1);
        await Server.AddAsync("pos-001");
        await agent.RotateAsync();
        Assert.Equal("GA", Server.States());
    }

    [Fact]
    public async Task Enrolling_anew_begins_a_new_audit_chain()
    {
        var old = await ActiveAsync(1);
        await old.SendAsync<CheckInAnswer>(
            old.CheckInRequest() with { Audit = new AuditEvidence(500, Digest32.Sha256([1]), null) });
        var agent = await EnrolAsync();
        var answer = await agent.SendAsync<CheckInAnswer>(
            agent.CheckInRequest() with { Audit = new AuditEvidence(3, Digest32.Sha256([2]), null) });
        Assert.False(answer.Witness.Conflict);
    }

    [Fact]
    public async Task A_skewed_clock_is_told_before_the_token_is_looked_at()
    {
        var agent = Server.NewAgent("pos-001");
        agent.ClockOffset = TimeSpan.FromDays(-400);
        var bundle = await Server.AddAsync("pos-001");
        Assert.Equal("CLOCK_SKEW", await agent.RefusedAsync(agent.EnrollRequest(bundle)));
        agent.ClockOffset = default;
        await agent.EnrolAsync(bundle);
    }

    private static async Task RefusedAsync(AgentDouble agent, EnrollmentBundle bundle) =>
        Assert.Equal("ENROLLMENT_REFUSED", await agent.RefusedAsync(agent.EnrollRequest(bundle)));
}
