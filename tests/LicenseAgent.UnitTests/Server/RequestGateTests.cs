using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Agents;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The checks before the rules, in their order; what is unauthenticated is answered unsigned.</summary>
public sealed class RequestGateTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.ActiveAsync(1);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Without_a_client_certificate_the_answer_is_unsigned()
    {
        _agent.Certificate = null;
        await UnsignedAsync(401, _agent.Sign(_agent.CheckInRequest()));
    }

    [Fact]
    public async Task A_certificate_of_another_agent_is_refused_unsigned()
    {
        _agent.Certificate = (await _server.ActiveAsync(1, "pos-002")).Certificate;
        await UnsignedAsync(403, _agent.Sign(_agent.CheckInRequest()));
    }

    [Fact]
    public async Task A_certificate_that_names_no_agent_is_refused_unsigned()
    {
        _agent.Certificate = X509CertificateLoader.LoadCertificateFromFile(_server.Tree.ServerCertificate);
        await UnsignedAsync(403, _agent.Sign(_agent.CheckInRequest()));
    }

    [Fact]
    public async Task A_request_that_names_another_agent_than_its_signature_is_refused_unsigned() =>
        await UnsignedAsync(403, _agent.Sign(_agent.CheckInRequest() with { AgentId = "pos-002" }));

    [Fact]
    public async Task A_signature_of_another_key_is_refused_unsigned()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await UnsignedAsync(403, _agent.Sign(_agent.CheckInRequest(), other));
    }

    [Fact]
    public async Task A_changed_payload_is_refused_unsigned()
    {
        var body = _agent.Sign(_agent.CheckInRequest());
        body[^100] = body[^100] == 'A' ? (byte)'B' : (byte)'A';
        await UnsignedAsync(403, body);
    }

    [Fact]
    public async Task A_signature_of_another_type_is_refused_unsigned()
    {
        var body = CompactJws.Create(
            new JwsHeader("pos-001", JoseTypes.AuditCheckpoint), "{}"u8, data => Es256.Sign(_agent.Signing, data));
        await UnsignedAsync(400, body);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("a.b.c")]
    public async Task A_body_that_is_no_signed_request_is_refused_unsigned(string body) =>
        await UnsignedAsync(400, System.Text.Encoding.ASCII.GetBytes(body));

    [Theory]
    [InlineData("{\"agent_id\":\"pos-001\"}")]
    [InlineData("[]")]
    [InlineData("{\"agent_id\":\"pos-001\",\"agent_id\":\"pos-001\"}")]
    public async Task A_signed_payload_that_is_no_request_is_refused_unsigned(string payload)
    {
        var body = CompactJws.Create(
            new JwsHeader("pos-001", JoseTypes.AgentRequest), System.Text.Encoding.ASCII.GetBytes(payload),
            data => Es256.Sign(_agent.Signing, data));
        await UnsignedAsync(400, body);
    }

    [Fact]
    public async Task An_action_of_another_endpoint_is_refused_unsigned()
    {
        var request = _agent.CheckInRequest() with { Action = AgentActions.RotateSecret };
        await UnsignedAsync(400, _agent.Sign(request));
    }

    [Fact]
    public async Task A_value_outside_its_set_is_refused_unsigned() =>
        await UnsignedAsync(400, _agent.Sign(_agent.CheckInRequest() with { Tpm = "broken" }));

    [Theory]
    [InlineData(300_000, true)]
    [InlineData(-300_000, true)]
    [InlineData(300_001, false)]
    [InlineData(-300_001, false)]
    public async Task A_request_may_be_300_seconds_off(long milliseconds, bool isAccepted)
    {
        _agent.ClockOffset = TimeSpan.FromMilliseconds(milliseconds);
        var request = _agent.CheckInRequest();
        if (isAccepted) await _agent.SendAsync<CheckInAnswer>(request);
        else Assert.Equal("CLOCK_SKEW", await _agent.RefusedAsync(request));
    }

    [Fact]
    public async Task A_request_refused_for_its_time_does_not_use_its_nonce()
    {
        _agent.ClockOffset = TimeSpan.FromHours(1);
        var request = _agent.CheckInRequest();
        Assert.Equal("CLOCK_SKEW", await _agent.RefusedAsync(request));
        _agent.ClockOffset = default;
        await _agent.SendAsync<CheckInAnswer>(request with { Timestamp = _agent.Now });
    }

    [Fact]
    public async Task An_agent_whose_keys_are_not_here_is_told_so_signed()
    {
        var stranger = new TestAgent(_server, "pos-009");
        using var authority = LicensePki.CertificateAuthority.Load(
            _server.Tree.AgentCaCertificate, _server.Tree.AgentCaKey, _server.Clock);
        stranger.Certificate = authority.IssueAgent(
            LicensePki.AgentCsr.Create(stranger.TlsKey, "pos-009"), "pos-009");
        Assert.Equal("AGENT_UNKNOWN", await stranger.RefusedAsync(stranger.CheckInRequest()));
    }

    [Fact]
    public async Task A_suspended_agent_may_check_in_and_nothing_else()
    {
        await _server.Agents.SuspendAsync("pos-001", suspended: true);
        Assert.Equal("AGENT_SUSPENDED", await _agent.RefusedAsync(_agent.RotateRequest()));
        Assert.Equal("AGENT_SUSPENDED", await _agent.RefusedAsync(_agent.RejectRequest(1)));
        Assert.Equal("AGENT_SUSPENDED", await _agent.RefusedAsync(_agent.ConfirmRequest(1)));
        await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest());
        await _server.Agents.SuspendAsync("pos-001", suspended: false);
        await _agent.SendAsync<RotateSecretAnswer>(_agent.RotateRequest());
    }

    [Fact]
    public async Task An_expired_certificate_opens_check_in_and_nothing_else()
    {
        _server.Clock.Now += TimeSpan.FromDays(366);
        Assert.Equal("CERTIFICATE_EXPIRED", await _agent.RefusedAsync(_agent.RotateRequest()));
        await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest());
    }

    [Fact]
    public async Task A_request_signed_by_the_software_key_is_refused_until_somebody_allows_it()
    {
        var agent = await _server.EnrolAsync("pos-002", withFallback: true);
        agent.InSoftware = true;
        var reply = await agent.PostAsync(AgentPaths.CheckIn, agent.Sign(agent.CheckInRequest()));
        Assert.Equal("DOWNGRADE_REFUSED", ((RefusalAnswer)agent.ReadAs(reply, AgentActions.CheckIn)).Error);
    }

    [Fact]
    public async Task The_TPM_key_does_not_pass_for_the_software_key()
    {
        _agent.Kid = "pos-001#fallback";
        await UnsignedAsync(403, _agent.Sign(_agent.CheckInRequest()));
    }

    [Theory]
    [InlineData("POST", "/api/v1/renew-licence")]
    [InlineData("GET", "/api/v1/certificates/renew")]
    [InlineData("GET", "/api/v1/check-in")]
    [InlineData("POST", "/api/v1/keyset")]
    [InlineData("GET", "/")]
    public async Task What_is_no_endpoint_answers_404(string method, string path)
    {
        var call = new AgentCall(method, path, null, null, _agent.Certificate, "127.0.0.1", default);
        Assert.Equal(404, (await _server.App.Api.HandleAsync(call)).Status);
    }

    private async Task UnsignedAsync(int status, byte[] body)
    {
        var reply = await _agent.PostAsync(AgentPaths.CheckIn, body);
        Assert.Equal(status, reply.Status);
        Assert.NotEqual(AnswerWriter.Signed, reply.ContentType);
        Assert.Null(_server.Agent().LastSeen);
    }
}
