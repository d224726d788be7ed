using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.UnitTests.Server.Contract;
using LicenseServer.Licenses;
using LicenseServer.Storage;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The real license server, its database and its signatures, held to the contract.</summary>
internal sealed class RealServer(ServerHarness harness) : ServerBench
{
    private const string AgentId = "pos-001";

    public ServerHarness Harness => harness;

    public override UtcTime Now => harness.Now;

    public override long Highest => harness.Agent().Highest;

    public override bool AuditRegressed => harness.Agent().AuditRegressed;

    public override IReadOnlyList<string> AuditEvents => harness.AuditEvents();

    public override string? CloneEvidence => harness.Agent().CloneEvidence;

    public static async Task<ServerBench> StartAsync() => new RealServer(await ServerHarness.StartAsync());

    public override void Pass(TimeSpan time) => harness.Clock.Now += time;

    public override AgentDouble NewAgent(string agentId = AgentId) => new TestAgent(harness, agentId);

    public override Task<EnrollmentBundle> AddAsync(string agentId = AgentId)
    {
        AgentRow? known = harness.Database.Read(session => AgentRows.Find(session, agentId));
        return harness.Agents.AddAsync(agentId, replace: known?.Enrolled is not null);
    }

    public override string States(string agentId = AgentId) => harness.States(agentId);

    public override Task<Func<Task>> BackupAsync() => harness.BackupAsync();

    public override Task SuspendAsync(bool suspended) => harness.Agents.SuspendAsync(AgentId, suspended);

    public override Task LimitGraceAsync(UtcTime? until) => harness.Agents.LimitGraceAsync(AgentId, until);

    public override Task RotateNowAsync() => harness.Agents.RotateNowAsync(AgentId);

    public override Task InvalidateBelowAsync(long version) => harness.Agents.InvalidateBelowAsync(AgentId, version);

    public override Task ApproveRecoveryAsync() => harness.Agents.ApproveRecoveryAsync(AgentId);

    public override async Task RevokeAsync(string licenseId)
    {
        TimeSpan day = TimeSpan.FromDays(1);
        await harness.Licenses.IssueAsync(new LicenseOrder(AgentId, "till", Now + day) { LicenseId = licenseId });
        await harness.Licenses.RevokeAsync(licenseId);
    }

    public override ValueTask DisposeAsync() => harness.DisposeAsync();
}
