using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>What every rule of the server is tried on: one server a test, and agents at it.</summary>
public abstract class ServerContract : IAsyncLifetime
{
    private protected ServerBench Server { get; private set; } = null!;

    public virtual async ValueTask InitializeAsync() => Server = await StartAsync();

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<ServerBench> StartAsync();

    /// <summary>The event stands in the server's audit log, so many times if given; the model keeps no log.</summary>
    private protected void Audited(string name, int? times = null)
    {
        if (Server.AuditEvents is not { } events) return;
        var count = events.Count(e => e == name);
        Assert.True(times is null ? count > 0 : count == times, $"{name}: {count} times");
    }

    /// <summary>Adds and enrols an agent that holds no secret yet.</summary>
    private protected async Task<AgentDouble> EnrolAsync(string agentId = "pos-001")
    {
        var agent = Server.NewAgent(agentId);
        await agent.EnrolAsync(await Server.AddAsync(agentId));
        return agent;
    }

    /// <summary>Adds, enrols and rotates an agent until it has the given ACTIVE version.</summary>
    private protected async Task<AgentDouble> ActiveAsync(long version = 1, string agentId = "pos-001")
    {
        var agent = await EnrolAsync(agentId);
        while (agent.Active < version) await agent.RotateAsync();
        return agent;
    }
}
