using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>
/// A license server as protocol.md §2 and §3 have it: the real one, and the simulator's model of it. Operators' orders
/// are about <c>pos-001</c>.
/// </summary>
internal interface IContractServer : IAsyncDisposable
{
    UtcTime Now { get; }

    void Pass(TimeSpan time);

    /// <summary>An agent that is not enrolled.</summary>
    AgentDouble NewAgent(string agentId = "pos-001");

    /// <summary>Makes a bundle, for an agent that is enrolled too.</summary>
    Task<EnrollmentBundle> AddAsync(string agentId = "pos-001");

    /// <summary>State of each version from 1 on, as letters: P A G I B, and '-' for a number without a row.</summary>
    string States(string agentId = "pos-001");

    /// <summary>The highest number ever given out.</summary>
    long Highest { get; }

    /// <summary>It was shown an audit log that contradicts what it had witnessed.</summary>
    bool AuditRegressed { get; }

    /// <summary>Names of the events in its own audit log, in order; null = the model keeps none.</summary>
    IReadOnlyList<string>? AuditEvents { get; }

    /// <summary>What makes the agent look like two machines; null = nothing.</summary>
    string? CloneEvidence { get; }

    /// <summary>A copy of everything, to be put back by the call that it answers.</summary>
    Task<Func<Task>> BackupAsync();

    Task SuspendAsync(bool suspended);

    Task LimitGraceAsync(UtcTime? until);

    Task RotateNowAsync();

    Task InvalidateBelowAsync(long version);

    Task ApproveRecoveryAsync();

    Task RevokeAsync(string licenseId);
}

/// <summary>What every rule of the server is tried on: one server a test, and agents at it.</summary>
public abstract class ServerContract : IAsyncLifetime
{
    private protected IContractServer Server { get; private set; } = null!;

    public virtual async ValueTask InitializeAsync() => Server = await StartAsync();

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<IContractServer> StartAsync();

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
