using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Agents;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class SecretStatusTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.ActiveAsync(2);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Every_version_is_told_with_its_state_highest_first()
    {
        var rejected = await _agent.PrepareAsync();
        await _agent.SendAsync<RejectRotationAnswer>(_agent.RejectRequest(rejected.SecretVersion));
        await _agent.PrepareAsync();
        var versions = (await StatusAsync()).Versions;
        Assert.Equal(["PENDING", "BURNED", "ACTIVE", "GRACE"], versions.Select(version => version.State));
        Assert.Equal([4, 3, 2, 1], versions.Select(version => version.Version));
        Assert.Null(versions[1].ValidUntil);
    }

    [Fact]
    public async Task GRACE_past_its_end_is_told_as_INVALIDATED()
    {
        _server.Clock.Now += TimeSpan.FromDays(9) - TimeSpan.FromMilliseconds(1);
        Assert.Equal("GRACE", (await StatusAsync()).Versions[1].State);
        _server.Clock.Now += TimeSpan.FromMilliseconds(1);
        Assert.Equal("INVALIDATED", (await StatusAsync()).Versions[1].State);
    }

    [Fact]
    public async Task The_nonce_is_an_echo_and_may_come_twice()
    {
        var nonce = TestAgent.Fresh().Nonce;
        Assert.Equal(nonce, (await StatusAsync(nonce)).Nonce);
        Assert.Equal(nonce, (await StatusAsync(nonce)).Nonce);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("?nonce=")]
    [InlineData("?nonce=short")]
    public async Task Without_a_nonce_the_answer_is_400(string? query) =>
        Assert.Equal(400, (await GetAsync(query)).Status);

    [Fact]
    public async Task Without_a_certificate_the_answer_is_401()
    {
        _agent.Certificate = null;
        Assert.Equal(401, (await GetAsync("?nonce=" + TestAgent.Fresh().Nonce)).Status);
    }

    [Fact]
    public async Task A_suspended_agent_is_refused()
    {
        await _server.Agents.SuspendAsync("pos-001", suspended: true);
        var reply = await GetAsync("?nonce=" + TestAgent.Fresh().Nonce);
        Assert.Equal("AGENT_SUSPENDED", ((RefusalAnswer)_agent.ReadAs(reply, AgentActions.SecretStatus)).Error);
    }

    private async Task<SecretStatusAnswer> StatusAsync(Nonce16? nonce = null)
    {
        var reply = await GetAsync("?nonce=" + (nonce ?? TestAgent.Fresh().Nonce));
        return (SecretStatusAnswer)_agent.ReadAs(reply, AgentActions.SecretStatus);
    }

    private Task<AgentReply> GetAsync(string? query) => _server.App.Api.HandleAsync(
        new AgentCall("GET", AgentPaths.SecretStatus, query, null, _agent.Certificate, "127.0.0.1", default));
}
