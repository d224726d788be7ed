using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Server.Contract;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The contract on the real server, and what only the real one has.</summary>
public sealed class RetryTests : RetryContract
{
    private ServerHarness Harness => ((RealServer)Server).Harness;

    private protected override Task<ServerBench> StartAsync() => RealServer.StartAsync();

    [Fact]
    public async Task Outcomes_survive_a_restart_of_the_server()
    {
        var agent = await Harness.ActiveAsync(1);
        var request = agent.RotateRequest();
        var lost = await agent.SendAsync<RotateSecretAnswer>(request);
        await Harness.RestartAsync();
        var answer = await agent.SendAsync<RotateSecretAnswer>(agent.Again(request));
        Assert.Equal(TestAgent.Open(lost), TestAgent.Open(answer));
    }

    [Fact]
    public async Task A_copy_is_a_replay_after_a_restart_too()
    {
        var agent = await Harness.ActiveAsync(1);
        var body = agent.Sign(agent.CheckInRequest());
        await agent.PostAsync(AgentPaths.CheckIn, body);
        await Harness.RestartAsync();
        var copy = await agent.PostAsync(AgentPaths.CheckIn, body);
        Assert.Equal("REPLAY", ((RefusalAnswer)agent.ReadAs(copy, AgentActions.CheckIn)).Error);
    }

    [Fact]
    public async Task What_is_older_than_its_time_is_swept_away()
    {
        var agent = await Harness.ActiveAsync(2);
        Harness.Clock.Now += TimeSpan.FromDays(8);
        await agent.SendAsync<CheckInAnswer>(agent.CheckInRequest());
        var now = Harness.Now;
        Assert.False(await Harness.Database.WriteAsync(
            session => LicenseServer.Storage.RequestRows.Sweep(session, now)));
        var left = Harness.Database.Read(session => (
            session.Number("SELECT count(*) FROM requests"), session.Number("SELECT count(*) FROM nonces")));
        Assert.Equal((0, 1), left);
    }
}
