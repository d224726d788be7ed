using LicenseAgent.Protocol.Messages;
using LicenseServer.Agents;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Agents;

/// <summary><c>enrolment.approve</c>: a till is let in when somebody has compared its key.</summary>
public sealed class ApprovalTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    private string Thumbprint => LicenseAgent.Protocol.Jose.EcPublicJwk.From(_agent.Signing).Thumbprint().ToString();

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync(options => options with { EnrollmentApproval = true });
        _agent = new TestAgent(_server, "pos-001");
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task An_enrolment_waits_until_its_key_is_approved()
    {
        var request = _agent.EnrollRequest(await _server.Agents.AddAsync("pos-001"));
        var refusal = await _agent.SendAsync<RefusalAnswer>(request);
        Assert.Equal(("RATE_LIMITED", true), (refusal.Error, refusal.RetryAfterS > 0));
        Assert.Contains(Thumbprint, refusal.Detail, StringComparison.Ordinal);
        Assert.Equal(Thumbprint, _server.Agents.Waiting("pos-001"));

        await _server.Agents.ApproveAsync("pos-001", Thumbprint);
        await _agent.SendAsync<EnrollAnswer>(_agent.Again(request));
        Assert.Equal(["enrollment_waits", "enrollment_approved", "agent_enrolled"],
            _server.AuditEvents().Where(e => e.Contains("enroll", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Another_key_than_the_compared_one_is_not_let_in()
    {
        var bundle = await _server.Agents.AddAsync("pos-001");
        await _agent.SendAsync<RefusalAnswer>(_agent.EnrollRequest(bundle));
        await _server.Agents.ApproveAsync("pos-001", Thumbprint);
        var thief = new TestAgent(_server, "pos-001");
        Assert.Equal("RATE_LIMITED", await thief.RefusedAsync(thief.EnrollRequest(bundle)));
    }

    [Fact]
    public async Task A_key_that_does_not_wait_cannot_be_approved()
    {
        await Assert.ThrowsAsync<OrderRefusedException>(() => ApproveUnknown());
        await _agent.SendAsync<RefusalAnswer>(_agent.EnrollRequest(await _server.Agents.AddAsync("pos-001")));
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.ApproveAsync("pos-001", "another"));

        async Task ApproveUnknown()
        {
            await _server.Agents.AddAsync("pos-001");
            await _server.Agents.ApproveAsync("pos-001", Thumbprint);
        }
    }
}
