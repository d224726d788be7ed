using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Server.Contract;
using LicensePki;
using LicenseServer.Agents;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The contract on the real server, and what only the real one has.</summary>
public sealed class EnrollmentTests : EnrollmentContract
{
    private ServerHarness Harness => ((RealServer)Server).Harness;

    private protected override Task<ServerBench> StartAsync() => RealServer.StartAsync();

    [Fact]
    public async Task The_bundle_pins_the_keyset_and_the_certificate_that_the_server_has()
    {
        var bundle = await Harness.Agents.AddAsync("pos-001");
        var call = new AgentCall("GET", AgentPaths.Keyset, "?after=0", null, null, "127.0.0.1", default);
        var chain = KeysetChain.Read((await Harness.App.Api.HandleAsync(call)).Body);
        var keyset = KeysetChain.VerifyFromPin(chain, bundle.Keyset, Es256.Verify);
        using var certificate = PemFile.ReadCertificate(Harness.Tree.ServerCertificate);
        Assert.Equal([SpkiPin.Of(certificate).ToString()], bundle.Pins);
        Assert.Equal(bundle.Pins, keyset.Pins);
        Assert.Equal(Harness.Now + TimeSpan.FromHours(24), bundle.ExpiresAt);
    }

    [Fact]
    public async Task The_database_does_not_hold_the_token()
    {
        var bundle = await Harness.Agents.AddAsync("pos-001");
        var database = Array.Empty<byte>();
        await Harness.RestartAsync(() => database = File.ReadAllBytes(Harness.DatabasePath));
        var token = new byte[32];
        bundle.EnrollmentToken.CopyTo(token);
        var text = System.Text.Encoding.ASCII.GetBytes(bundle.EnrollmentToken.ToString());
        Assert.True(database.AsSpan().IndexOf("pos-001"u8) > 0);
        Assert.True(database.AsSpan().IndexOf(token) < 0);
        Assert.True(database.AsSpan().IndexOf(text) < 0);
    }

    [Fact]
    public async Task A_certificate_request_for_another_agent_is_refused()
    {
        var agent = new TestAgent(Harness, "pos-001");
        var request = agent.EnrollRequest(await Harness.Agents.AddAsync("pos-001")) with
        {
            Csr = Base64UrlText.Encode(AgentCsr.Create(agent.TlsKey, "pos-002")),
        };
        Assert.Equal("ENROLLMENT_REFUSED", await agent.RefusedAsync(request));
        Assert.Null(Harness.Agent().Enrolled);
    }

    [Fact]
    public async Task An_agent_that_is_enrolled_gets_a_bundle_only_to_be_replaced()
    {
        await Harness.EnrolAsync();
        await Assert.ThrowsAsync<OrderRefusedException>(() => Harness.Agents.AddAsync("pos-001"));
        await Harness.Agents.AddAsync("pos-001", replace: true);
        Assert.Contains("agent_replacement_made", Harness.AuditEvents());
    }

    [Fact]
    public async Task An_agent_that_is_not_enrolled_has_nothing_to_be_replaced()
    {
        await Harness.Agents.AddAsync("pos-001");
        await Assert.ThrowsAsync<OrderRefusedException>(() => Harness.Agents.AddAsync("pos-001", replace: true));
    }

    [Theory]
    [InlineData("")]
    [InlineData("POS-001")]
    [InlineData("-pos")]
    [InlineData("a.b")]
    public async Task A_name_that_is_no_agent_id_is_refused(string agentId) =>
        await Assert.ThrowsAsync<OrderRefusedException>(() => Harness.Agents.AddAsync(agentId));
}
