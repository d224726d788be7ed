using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Messages;
using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The real listener on a real port: what TLS and HTTP themselves refuse.</summary>
public sealed class ServerTlsTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        await _server.App.StartAsync(Cancel);
        _agent = await _server.ActiveAsync(1);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task An_agent_with_its_certificate_checks_in()
    {
        using var client = Client(Certified());
        using var answer = await CheckInAsync(client);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("application/jose", answer.Content.Headers.ContentType!.ToString());
    }

    [Fact]
    public async Task No_answer_names_the_server_software()
    {
        using var client = Client();
        using var answer = await client.GetAsync(new Uri(_server.App.AgentUrl, AgentPaths.Keyset), Cancel);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.False(answer.Headers.Contains("Server"));
    }

    [Fact]
    public async Task Without_a_certificate_enrolment_is_served_and_check_in_is_not()
    {
        using var client = Client();
        var till = new TestAgent(_server, "pos-002");
        var body = till.Sign(till.EnrollRequest(await _server.Agents.AddAsync("pos-002")));
        using var enrolled = await PostAsync(client, AgentPaths.Enroll, body);
        Assert.Equal(HttpStatusCode.OK, enrolled.StatusCode);
        using var checkIn = await CheckInAsync(client);
        Assert.Equal(HttpStatusCode.Unauthorized, checkIn.StatusCode);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
#pragma warning disable SYSLIB0039, CA5397 // that these are refused is the claim
    [InlineData(SslProtocols.Tls11)]
#pragma warning restore SYSLIB0039, CA5397
    public async Task Older_TLS_is_refused(SslProtocols protocol)
    {
        using var client = Client(Certified(), protocol);
        await Assert.ThrowsAsync<HttpRequestException>(() => CheckInAsync(client));
    }

    [Fact]
    public async Task A_suite_that_is_not_AEAD_256_or_128_GCM_or_ChaCha20_is_refused()
    {
        using var client = Client(Certified(), suite: TlsCipherSuite.TLS_AES_128_CCM_SHA256);
        await Assert.ThrowsAsync<HttpRequestException>(() => CheckInAsync(client));
    }

    [Fact]
    public async Task A_certificate_of_another_CA_is_refused()
    {
        using var other = CertificateAuthority.Create("other", _server.Clock);
        using var client = Client(With(other.IssueAgent(AgentCsr.Create(_agent.TlsKey, "pos-001"), "pos-001")));
        await Assert.ThrowsAsync<HttpRequestException>(() => CheckInAsync(client));
    }

    [Fact]
    public async Task A_server_certificate_is_refused_as_a_client_certificate()
    {
        using var authority = CertificateAuthority.Load(
            _server.Tree.AgentCaCertificate, _server.Tree.AgentCaKey, _server.Clock);
        using var client = Client(With(authority.IssueServer("pos-001", ["localhost"], _agent.TlsKey)));
        await Assert.ThrowsAsync<HttpRequestException>(() => CheckInAsync(client));
    }

    [Fact]
    public async Task A_certificate_expired_for_a_year_still_opens_check_in_and_is_told_to_renew_elsewhere()
    {
        _server.Clock.Now += TimeSpan.FromDays(2 * 365);
        using var client = Client(Certified());
        using var checkIn = await CheckInAsync(client);
        Assert.Equal(HttpStatusCode.OK, checkIn.StatusCode);
        using var rotate = await PostAsync(client, AgentPaths.RotateSecret, _agent.Sign(_agent.RotateRequest()));
        var refusal = await rotate.Content.ReadAsByteArrayAsync(Cancel);
        var reply = new LicenseServer.Agents.AgentReply((int)rotate.StatusCode, "application/jose", refusal);
        Assert.Equal("CERTIFICATE_EXPIRED", ((RefusalAnswer)_agent.ReadAs(reply, AgentActions.RotateSecret)).Error);
    }

    [Fact]
    public async Task A_certificate_expired_for_more_than_two_years_is_refused()
    {
        _server.Clock.Now += TimeSpan.FromDays(365 + 732);
        using var client = Client(Certified());
        await Assert.ThrowsAsync<HttpRequestException>(() => CheckInAsync(client));
    }

    [Fact]
    public async Task A_second_connection_is_a_full_handshake()
    {
        var session = _server["session.pem"];
        await OpenSslClientAsync("-sess_out", session);
        var second = await OpenSslClientAsync("-sess_in", session);
        Assert.Contains("New, TLSv1.3", second, StringComparison.Ordinal);
        Assert.DoesNotContain("Reused, TLSv1.3", second, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_over_64_KiB_is_refused()
    {
        using var client = Client(Certified());

        // The body would still be on its way when the refusal ends the connection: a broken pipe instead of an answer.
        client.DefaultRequestHeaders.ExpectContinue = true;
        using var answer = await PostAsync(client, AgentPaths.CheckIn, new byte[AgentApiLimits.RequestBytes + 1]);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task Another_content_type_is_refused()
    {
        using var client = Client(Certified());
        using var content = new ByteArrayContent(_agent.Sign(_agent.CheckInRequest()));
        using var answer = await client.PostAsync(new Uri(_server.App.AgentUrl, AgentPaths.CheckIn), content, Cancel);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.StatusCode);
    }

    [Theory]
    [InlineData("/healthz")]
    [InlineData("/readyz")]
    [InlineData("/metrics")]
    public async Task Management_pages_are_on_their_own_listener_only(string page)
    {
        using var client = Client(Certified());
        using var inside = await client.GetAsync(new Uri(_server.App.ManagementUrl, page), Cancel);
        using var outside = await client.GetAsync(new Uri(_server.App.AgentUrl, page), Cancel);
        using var api = await client.GetAsync(new Uri(_server.App.ManagementUrl, AgentPaths.Keyset), Cancel);
        Assert.Equal(
            (HttpStatusCode.OK, HttpStatusCode.NotFound, HttpStatusCode.NotFound),
            (inside.StatusCode, outside.StatusCode, api.StatusCode));
    }

    [Fact]
    public async Task The_server_is_not_ready_once_its_own_certificate_has_expired()
    {
        _server.Clock.Now += TimeSpan.FromDays(366);
        using var client = Client();
        using var answer = await client.GetAsync(new Uri(_server.App.ManagementUrl, "/readyz"), Cancel);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
    }

    private Task<HttpResponseMessage> PostAsync(HttpClient client, string path, byte[] body) =>
        AgentHttp.PostAsync(client, _server, path, body, Cancel);

    private Task<HttpResponseMessage> CheckInAsync(HttpClient client) =>
        PostAsync(client, AgentPaths.CheckIn, _agent.Sign(_agent.CheckInRequest()));

    private X509Certificate2 Certified() => With(_agent.Certificate!);

    private X509Certificate2 With(X509Certificate2 certificate) => certificate.CopyWithPrivateKey(_agent.TlsKey);

    private HttpClient Client(
        X509Certificate2? certificate = null, SslProtocols protocols = SslProtocols.Tls13, TlsCipherSuite? suite = null) =>
        AgentHttp.Client(_server, certificate, protocols, suite);

    private async Task<string> OpenSslClientAsync(string option, string session)
    {
        var start = new System.Diagnostics.ProcessStartInfo("openssl",
        [
            "s_client", "-connect", "127.0.0.1:" + _server.App.AgentUrl.Port, "-tls1_3", option, session,
        ])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = System.Diagnostics.Process.Start(start)!;
        // The tickets come with the first answer; "close" then ends the connection from the server's side.
        await process.StandardInput.WriteAsync(
            "GET /api/v1/keyset HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        await process.StandardInput.FlushAsync(Cancel);
        var output = await process.StandardOutput.ReadToEndAsync(Cancel);
        await process.WaitForExitAsync(Cancel);
        return output;
    }
}
