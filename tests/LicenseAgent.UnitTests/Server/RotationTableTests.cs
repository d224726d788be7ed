using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Server.Contract;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The contract on the real server, and what only the real one has.</summary>
public sealed class RotationTableTests : RotationTableContract
{
    private ServerHarness Harness => ((RealServer)Server).Harness;

    private protected override Task<ServerBench> StartAsync() => RealServer.StartAsync();

    [Fact]
    public async Task After_ACTIVE_was_given_up_nothing_is_minted_until_the_confirm()
    {
        var agent = await Harness.ActiveAsync(2);
        agent.Active = 0;
        var pending = await agent.PrepareAsync();
        var order = new LicenseServer.Licenses.LicenseOrder("pos-001", "till", Harness.Now + TimeSpan.FromDays(1));
        await Assert.ThrowsAsync<LicenseServer.Agents.OrderRefusedException>(() => Harness.Licenses.IssueAsync(order));
        await agent.ConfirmAsync(pending.SecretVersion);
        Assert.Equal(3, (await Harness.Licenses.IssueAsync(order)).SecretVersion);
    }
}
