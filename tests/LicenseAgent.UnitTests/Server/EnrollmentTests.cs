using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;
using LicensePki;
using LicenseServer.Agents;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class EnrollmentTests : IAsyncLifetime
{
    private ServerHarness _server = null!;

    public async ValueTask InitializeAsync() => _server = await ServerHarness.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task The_bundle_pins_the_keyset_and_the_certificate_that_the_server_has()
    {
        var bundle = await _server.Agents.AddAsync("pos-001");
        var call = new AgentCall("GET", AgentPaths.Keyset, "?after=0", null, null, "127.0.0.1", default);
        var chain = KeysetChain.Read((await _server.App.Api.HandleAsync(call)).Body);
        var keyset = KeysetChain.VerifyFromPin(chain, bundle.Keyset, Es256.Verify);
        using var certificate = PemFile.ReadCertificate(_server.Tree.ServerCertificate);
        Assert.Equal([SpkiPin.Of(certificate).ToString()], bundle.Pins);
        Assert.Equal(bundle.Pins, keyset.Pins);
        Assert.Equal(_server.Now + TimeSpan.FromHours(24), bundle.ExpiresAt);
    }

    [Fact]
    public async Task The_answer_brings_a_certificate_for_the_agents_own_key_and_the_policy()
    {
        var agent = new TestAgent(_server, "pos-001");
        var answer = await agent.EnrolAsync(await _server.Agents.AddAsync("pos-001"));
        Assert.True(PemFile.IsKeyOf(agent.TlsKey, agent.Certificate!));
        Assert.Equal("pos-001", AlternativeNames.AgentIdOf(agent.Certificate!));
        Assert.Equal(new AgentPolicy(86_400, 604_800, 900), answer.Policy);
        Assert.Equal(0, answer.HighestVersion);
    }

    [Fact]
    public async Task The_database_does_not_hold_the_token()
    {
        var bundle = await _server.Agents.AddAsync("pos-001");
        var database = Array.Empty<byte>();
        await _server.RestartAsync(() => database = File.ReadAllBytes(_server.DatabasePath));
        var token = new byte[32];
        bundle.EnrollmentToken.CopyTo(token);
        var text = System.Text.Encoding.ASCII.GetBytes(bundle.EnrollmentToken.ToString());
        Assert.True(database.AsSpan().IndexOf("pos-001"u8) > 0);
        Assert.True(database.AsSpan().IndexOf(token) < 0);
        Assert.True(database.AsSpan().IndexOf(text) < 0);
    }

    [Fact]
    public async Task An_unknown_token_is_refused_signed()
    {
        var bundle = await _server.Agents.AddAsync("pos-001") with { EnrollmentToken = Digest32.Sha256([1]) };
        await RefusedAsync(new TestAgent(_server, "pos-001"), bundle);
    }

    [Fact]
    public async Task A_token_of_another_agent_is_refused()
    {
        var bundle = await _server.Agents.AddAsync("pos-001");
        await _server.Agents.AddAsync("pos-002");
        await RefusedAsync(new TestAgent(_server, "pos-002"), bundle);
    }

    [Fact]
    public async Task A_token_is_good_for_24_hours()
    {
        var bundle = await _server.Agents.AddAsync("pos-001");
        _server.Clock.Now += TimeSpan.FromHours(24);
        await RefusedAsync(new TestAgent(_server, "pos-001"), bundle);
    }

    [Fact]
    public async Task A_used_token_is_refused_to_another_key_and_audited()
    {
        var bundle = await _server.Agents.AddAsync("pos-001");
        await new TestAgent(_server, "pos-001").EnrolAsync(bundle);
        await RefusedAsync(new TestAgent(_server, "pos-001"), bundle);
        Assert.Contains("token_reused", _server.AuditEvents());
    }

    [Fact]
    public async Task A_used_token_is_refused_to_its_own_key_after_24_hours()
    {
        var bundle = await _server.Agents.AddAsync("pos-001");
        var agent = new TestAgent(_server, "pos-001");
        await agent.EnrolAsync(bundle);
        _server.Clock.Now += TimeSpan.FromHours(24);
        await RefusedAsync(agent, bundle);
    }

    [Fact]
    public async Task A_new_bundle_ends_the_one_that_was_not_used()
    {
        var first = await _server.Agents.AddAsync("pos-001");
        var second = await _server.Agents.AddAsync("pos-001");
        await RefusedAsync(new TestAgent(_server, "pos-001"), first);
        await new TestAgent(_server, "pos-001").EnrolAsync(second);
    }

    [Fact]
    public async Task A_request_not_signed_by_the_key_it_brings_is_refused_unsigned()
    {
        var agent = new TestAgent(_server, "pos-001");
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var body = agent.Sign(agent.EnrollRequest(await _server.Agents.AddAsync("pos-001")), other);
        Assert.Equal(403, (await agent.PostAsync(AgentPaths.Enroll, body)).Status);
    }

    [Fact]
    public async Task A_certificate_request_for_another_agent_is_refused()
    {
        var agent = new TestAgent(_server, "pos-001");
        var request = agent.EnrollRequest(await _server.Agents.AddAsync("pos-001")) with
        {
            Csr = Base64UrlText.Encode(AgentCsr.Create(agent.TlsKey, "pos-002")),
        };
        Assert.Equal("ENROLLMENT_REFUSED", await agent.RefusedAsync(request));
        Assert.Null(_server.Agent().Enrolled);
    }

    [Fact]
    public async Task Enrolling_anew_ends_every_earlier_version_and_key()
    {
        var old = await _server.ActiveAsync(2);
        await old.PrepareAsync();
        var agent = new TestAgent(_server, "pos-001");
        var answer = await agent.EnrolAsync(await _server.Agents.AddAsync("pos-001", replace: true));
        Assert.Equal(3, answer.HighestVersion);
        Assert.Equal("IIB", _server.States());
        Assert.Equal(403, (await old.PostAsync(AgentPaths.CheckIn, old.Sign(old.CheckInRequest()))).Status);
        Assert.Equal(4, (await agent.PrepareAsync()).SecretVersion);
    }

    [Fact]
    public async Task An_agent_that_is_enrolled_gets_a_bundle_only_to_be_replaced()
    {
        await _server.EnrolAsync();
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.AddAsync("pos-001"));
        await _server.Agents.AddAsync("pos-001", replace: true);
        Assert.Contains("agent_replacement_made", _server.AuditEvents());
    }

    [Fact]
    public async Task An_agent_that_is_not_enrolled_has_nothing_to_be_replaced()
    {
        await _server.Agents.AddAsync("pos-001");
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.AddAsync("pos-001", replace: true));
    }

    [Fact]
    public async Task Until_the_bundle_is_used_the_agent_goes_on_with_its_keys()
    {
        var agent = await _server.ActiveAsync(1);
        await _server.Agents.AddAsync("pos-001", replace: true);
        await agent.RotateAsync();
        Assert.Equal("GA", _server.States());
    }

    [Fact]
    public async Task Enrolling_anew_begins_a_new_audit_chain()
    {
        var old = await _server.ActiveAsync(1);
        await old.SendAsync<CheckInAnswer>(
            old.CheckInRequest() with { Audit = new AuditEvidence(500, Digest32.Sha256([1]), null) });
        var agent = await _server.EnrolAsync();
        var answer = await agent.SendAsync<CheckInAnswer>(
            agent.CheckInRequest() with { Audit = new AuditEvidence(3, Digest32.Sha256([2]), null) });
        Assert.False(answer.Witness.Conflict);
    }

    [Fact]
    public async Task A_skewed_clock_is_told_before_the_token_is_looked_at()
    {
        var agent = new TestAgent(_server, "pos-001") { ClockOffset = TimeSpan.FromDays(-400) };
        var bundle = await _server.Agents.AddAsync("pos-001");
        Assert.Equal("CLOCK_SKEW", await agent.RefusedAsync(agent.EnrollRequest(bundle)));
        agent.ClockOffset = default;
        await agent.EnrolAsync(bundle);
    }

    [Theory]
    [InlineData("")]
    [InlineData("POS-001")]
    [InlineData("-pos")]
    [InlineData("a.b")]
    public async Task A_name_that_is_no_agent_id_is_refused(string agentId) =>
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.AddAsync(agentId));

    private static async Task RefusedAsync(TestAgent agent, EnrollmentBundle bundle) =>
        Assert.Equal("ENROLLMENT_REFUSED", await agent.RefusedAsync(agent.EnrollRequest(bundle)));
}
