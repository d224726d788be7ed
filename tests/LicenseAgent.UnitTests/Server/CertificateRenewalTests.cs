using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>Client certificates anew, for certificates that are good and for those whose time is over.</summary>
public sealed class CertificateRenewalTests : IAsyncLifetime
{
    private static readonly TimeSpan Year = TimeSpan.FromDays(365);

    private readonly ECDsa _newKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.EnrolAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _newKey.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task The_new_certificate_names_the_agent_and_holds_the_new_key()
    {
        using var renewed = await RenewAsync();
        Assert.Equal("pos-001", AlternativeNames.AgentIdOf(renewed));
        Assert.True(PemFile.IsKeyOf(_newKey, renewed));
    }

    [Fact]
    public async Task The_new_certificate_is_good_for_a_year_from_now()
    {
        _server.Clock.Now += TimeSpan.FromDays(200);
        using var renewed = await RenewAsync();
        Assert.InRange(renewed.NotAfter.ToUniversalTime() - _server.Clock.Now.UtcDateTime,
            Year - TimeSpan.FromMinutes(1), Year + TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task A_certificate_expired_for_a_year_is_renewed_and_then_opens_everything()
    {
        _server.Clock.Now += 2 * Year;
        Assert.Equal("CERTIFICATE_EXPIRED", await _agent.RefusedAsync(_agent.RotateRequest()));
        _agent.Certificate = await RenewAsync();
        await _agent.RotateAsync();
    }

    [Fact]
    public async Task A_request_for_another_agents_name_is_refused()
    {
        var request = _agent.RenewCertificateRequest(_newKey, "pos-002");
        var reply = await _agent.PostAsync(AgentPaths.RenewCertificate, _agent.Sign(request));
        Assert.Equal(400, reply.Status);
    }

    [Fact]
    public async Task A_suspended_agent_gets_no_certificate()
    {
        await _server.Agents.SuspendAsync("pos-001", true);
        Assert.Equal("AGENT_SUSPENDED", await _agent.RefusedAsync(_agent.RenewCertificateRequest(_newKey)));
    }

    private async Task<X509Certificate2> RenewAsync()
    {
        var answer = await _agent.SendAsync<RenewCertificateAnswer>(_agent.RenewCertificateRequest(_newKey));
        Assert.True(Base64UrlText.TryDecode(answer.CertificateChain[0], out var der));
        return X509CertificateLoader.LoadCertificate(der);
    }
}
