using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.UnitTests.Server.Contract;
using LicenseServer.Licenses;
using LicenseServer.Storage;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The real license server, its database and its signatures, held to the contract.</summary>
internal sealed class RealServer(ServerHarness harness) : IContractServer
{
    private const string AgentId = "pos-001";

    public ServerHarness Harness => harness;

    public UtcTime Now => harness.Now;

    public long Highest => harness.Agent().Highest;

    public bool AuditRegressed => harness.Agent().AuditRegressed;

    public IReadOnlyList<string> AuditEvents => harness.AuditEvents();

    public string? CloneEvidence => harness.Agent().CloneEvidence;

    public static async Task<IContractServer> StartAsync() => new RealServer(await ServerHarness.StartAsync());

    public void Pass(TimeSpan time) => harness.Clock.Now += time;

    public AgentDouble NewAgent(string agentId = AgentId) => new TestAgent(harness, agentId);

    public Task<EnrollmentBundle> AddAsync(string agentId = AgentId)
    {
        AgentRow? known = harness.Database.Read(session => AgentRows.Find(session, agentId));
        return harness.Agents.AddAsync(agentId, replace: known?.Enrolled is not null);
    }

    public string States(string agentId = AgentId) => harness.States(agentId);

    public Task<Func<Task>> BackupAsync() => harness.BackupAsync();

    public Task SuspendAsync(bool suspended) => harness.Agents.SuspendAsync(AgentId, suspended);

    public Task LimitGraceAsync(UtcTime? until) => harness.Agents.LimitGraceAsync(AgentId, until);

    public Task RotateNowAsync() => harness.Agents.RotateNowAsync(AgentId);

    public Task InvalidateBelowAsync(long version) => harness.Agents.InvalidateBelowAsync(AgentId, version);

    public Task ApproveRecoveryAsync() => harness.Agents.ApproveRecoveryAsync(AgentId);

    public async Task RevokeAsync(string licenseId)
    {
        TimeSpan day = TimeSpan.FromDays(1);
        await harness.Licenses.IssueAsync(new LicenseOrder(AgentId, "till", Now + day) { LicenseId = licenseId });
        await harness.Licenses.RevokeAsync(licenseId);
    }

    public ValueTask DisposeAsync() => harness.DisposeAsync();
}
