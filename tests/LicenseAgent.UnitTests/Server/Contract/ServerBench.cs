using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>
/// A license server as protocol.md §2 and §3 have it: the real one, and the simulator's model of it. Operators' orders
/// are about <c>pos-001</c>.
/// </summary>
internal abstract class ServerBench : IAsyncDisposable
{
    public abstract UtcTime Now { get; }

    public abstract void Pass(TimeSpan time);

    /// <summary>An agent that is not enrolled.</summary>
    public abstract AgentDouble NewAgent(string agentId = "pos-001");

    /// <summary>Makes a bundle, for an agent that is enrolled too.</summary>
    public abstract Task<EnrollmentBundle> AddAsync(string agentId = "pos-001");

    /// <summary>State of each version from 1 on, as letters: P A G I B, and '-' for a number without a row.</summary>
    public abstract string States(string agentId = "pos-001");

    /// <summary>The highest number ever given out.</summary>
    public abstract long Highest { get; }

    /// <summary>It was shown an audit log that contradicts what it had witnessed.</summary>
    public abstract bool AuditRegressed { get; }

    /// <summary>Names of the events in its own audit log, in order; null = the model keeps none.</summary>
    public abstract IReadOnlyList<string>? AuditEvents { get; }

    /// <summary>What makes the agent look like two machines; null = nothing.</summary>
    public abstract string? CloneEvidence { get; }

    /// <summary>A copy of everything, to be put back by the call that it answers.</summary>
    public abstract Task<Func<Task>> BackupAsync();

    public abstract Task SuspendAsync(bool suspended);

    public abstract Task LimitGraceAsync(UtcTime? until);

    public abstract Task RotateNowAsync();

    public abstract Task InvalidateBelowAsync(long version);

    public abstract Task ApproveRecoveryAsync();

    public abstract Task RevokeAsync(string licenseId);

    public abstract ValueTask DisposeAsync();
}
