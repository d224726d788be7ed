using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;
using Xunit;

namespace LicenseAgent.ContractTests.Upstream;

/// <summary>Who is believed to be the license server, against real TLS servers.</summary>
public sealed class TlsUpstreamTests : IDisposable
{
    private const string Name = "license-server";
    private static readonly DateTimeOffset Now = new(2031, 5, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly TestAuthority _authority = new(Now);
    private readonly TlsUpstream _upstream = new(TimeProvider.System);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _upstream.Dispose();
        _authority.Dispose();
    }

    [Fact]
    public async Task The_pinned_server_is_believed_although_the_machine_thinks_it_is_years_earlier()
    {
        await using var server = await StartAsync(_authority.Server(Name));
        var answer = await PostAsync();
        Assert.Equal((200, "answer"), (answer.Status, Encoding.UTF8.GetString(answer.Body)));
    }

    [Fact]
    public async Task Any_of_several_pins_is_enough()
    {
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate);
        Configure(server, certificate, s => s with { Pins = [OtherPin(), SpkiPin.Of(certificate).ToString()] });
        Assert.Equal(200, (await PostAsync()).Status);
    }

    [Fact]
    public async Task Another_key_of_the_same_authority_and_name_is_refused()
    {
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate);
        Configure(server, certificate, s => s with { Pins = [OtherPin()] });
        var error = await RefusedAsync("tls_pin");
        Assert.Contains(SpkiPin.Of(certificate).ToString(), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_pins_nobody_is_believed()
    {
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate);
        Configure(server, certificate, s => s with { Pins = [] });
        await RefusedAsync("tls_pin");
    }

    [Fact]
    public async Task A_certificate_of_another_authority_is_refused_although_its_key_is_pinned()
    {
        using var other = new TestAuthority(Now);
        await using var server = await StartAsync(other.Server(Name));
        await RefusedAsync("tls_chain");
    }

    [Fact]
    public async Task A_certificate_for_another_name_is_refused()
    {
        await using var server = await StartAsync(_authority.Server("localhost", "127.0.0.1"));
        await RefusedAsync("tls_name");
    }

    [Fact]
    public async Task A_certificate_for_clients_is_refused()
    {
        await using var server = await StartAsync(_authority.Agent("pos-001"));
        await RefusedAsync("tls_usage");
    }

    [Theory]
    [InlineData(364, null)]
    [InlineData(366, "tls_expired")]
    [InlineData(-10_000, null)]
    public async Task Dates_are_judged_by_the_proven_time_and_only_their_end(int days, string? reason)
    {
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate);
        Configure(server, certificate, s => s with { VerificationTime = Time(Now.AddDays(days)) });
        if (reason is null)
            Assert.Equal(200, (await PostAsync()).Status);
        else
            await RefusedAsync(reason);
    }

    [Fact]
    public async Task TLS_1_2_is_refused()
    {
        await using var server = await StartAsync(_authority.Server(Name), o => o with { Protocols = SslProtocols.Tls12 });
        await RefusedAsync("tls_handshake");
        Assert.Equal(0, server.Requests);
    }

    [Fact]
    public async Task The_agent_shows_its_certificate_on_every_connection()
    {
        var shown = new List<string>();
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate, o => o with
        {
            RequireClientCertificate = true,
            Handler = context =>
            {
                lock (shown)
                    shown.Add(context.Connection.ClientCertificate?.Subject ?? "none");
                context.Response.Headers.Connection = "close";
                return context.Response.CompleteAsync();
            },
        });
        Configure(server, certificate, s => s with { ClientPem = ClientPem() });
        for (int i = 0; i < 4; i++)
            Assert.Equal(200, (await PostAsync()).Status);
        Assert.Equal(4, server.Connections);
        Assert.Equal(Enumerable.Repeat("CN=pos-001", 4), shown);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_server_that_does_not_accept_the_agents_certificate_is_no_contact_with_that_hint(bool shown)
    {
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(
            certificate, o => o with { RequireClientCertificate = true, RefuseClientCertificate = true });
        Configure(server, certificate, s => shown ? s with { ClientPem = ClientPem() } : s);
        var error = await RefusedAsync("incomplete");
        Assert.Contains("agent's certificate", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, server.Requests);
    }

    [Fact]
    public async Task New_settings_judge_a_server_that_was_believed_before()
    {
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate);
        await PostAsync();
        Configure(server, certificate, s => s with { Pins = [OtherPin()] });
        await RefusedAsync("tls_pin");
        Assert.Equal(1, server.Requests);
    }

    [Fact]
    public async Task An_authority_in_PEM_is_as_good_as_one_in_DER()
    {
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate);
        Configure(server, certificate, s => s with { CaCertificate = Encoding.ASCII.GetBytes(_authority.Pem) });
        Assert.Equal(200, (await PostAsync()).Status);
    }

    [Fact]
    public async Task Settings_that_cannot_be_used_are_no_contact_until_better_ones_come()
    {
        Assert.Equal("not_configured", (await Assert.ThrowsAsync<NoContactException>(PostAsync)).Reason);
        var certificate = _authority.Server(Name);
        await using var server = await StartAsync(certificate);
        Configure(server, certificate, s => s with { CaCertificate = "nonsense"u8.ToArray() });
        await RefusedAsync("ca_certificate");
        Configure(server, certificate, s => s with { ClientPem = "nonsense"u8.ToArray() });
        await RefusedAsync("client_certificate");
        Configure(server, certificate, s => s with { Url = "http://127.0.0.1" });
        await RefusedAsync("bad_address");
        Configure(server, certificate, s => s);
        Assert.Equal(200, (await PostAsync()).Status);
    }

    [Fact]
    public async Task A_closed_port_is_a_refusal()
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0)); // bound and not listening: nobody else gets the port
        _upstream.Configure(Settings($"https://127.0.0.1:{((IPEndPoint)taken.LocalEndPoint!).Port}", OtherPin()));
        await RefusedAsync("refused");
    }

    private async Task<TlsServer> StartAsync(
        X509Certificate2 certificate, Func<TlsServerOptions, TlsServerOptions>? change = null)
    {
        var options = new TlsServerOptions(certificate);
        var server = await TlsServer.StartAsync(change is null ? options : change(options));
        Configure(server, certificate, s => s);
        return server;
    }

    private void Configure(
        TlsServer server, X509Certificate2 certificate, Func<UpstreamSettings, UpstreamSettings> change) =>
        _upstream.Configure(change(Settings(server.Url, SpkiPin.Of(certificate).ToString())));

    private UpstreamSettings Settings(string url, string pin) => new(url, Name, [pin], _authority.Der, null, Time(Now));

    private Task<UpstreamAnswer> PostAsync() =>
        _upstream.ExchangeAsync("POST", "/api/v1/check-in", "body"u8.ToArray(), TimeSpan.FromMinutes(1), Cancel);

    private async Task<NoContactException> RefusedAsync(string reason)
    {
        var error = await Assert.ThrowsAsync<NoContactException>(PostAsync);
        Assert.True(reason == error.Reason, $"{error.Reason}: {error.Message}");
        return error;
    }

    private byte[] ClientPem()
    {
        using var certificate = _authority.Agent("pos-001");
        using var key = certificate.GetECDsaPrivateKey()!;
        return Encoding.ASCII.GetBytes(
            key.ExportPkcs8PrivateKeyPem() + "\n" + certificate.ExportCertificatePem() + "\n" + _authority.Pem + "\n");
    }

    private string OtherPin()
    {
        using var other = _authority.Server(Name);
        return SpkiPin.Of(other).ToString();
    }

    private static UtcTime Time(DateTimeOffset time) => new(time.ToUnixTimeMilliseconds());
}
