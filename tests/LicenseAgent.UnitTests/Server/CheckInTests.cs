using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Server.Contract;
using LicenseServer.Agents;
using LicenseServer.Licenses;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>The contract on the real server, and what only the real one has.</summary>
public sealed class CheckInTests : CheckInContract
{
    private ServerHarness Harness => ((RealServer)Server).Harness;

    private protected override Task<ServerBench> StartAsync() => RealServer.StartAsync();

    [Fact]
    public async Task The_report_is_kept_and_the_next_check_in_is_told()
    {
        var report = Agent.CheckInRequest() with { Mode = "LOCKED", LockReason = "state_rollback", Tpm = "lockout" };
        var answer = await Agent.SendAsync<CheckInAnswer>(report);
        var kept = Harness.Agent();
        Assert.Equal((900, 1L), (answer.NextCheckInS, answer.KeysetVersion));
        Assert.Equal(("LOCKED", "state_rollback", "lockout"), (kept.Mode, kept.LockReason, kept.Tpm));
        Assert.Equal(Harness.Now, kept.LastSeen);
    }

    [Fact]
    public async Task Directives_are_levels_that_hold_until_they_are_lifted()
    {
        var until = Harness.Now + TimeSpan.FromDays(1);
        await Harness.Agents.LimitGraceAsync("pos-001", until);
        await Harness.Agents.ReEnrollAsync("pos-001");
        await Harness.Agents.SuspendAsync("pos-001", suspended: true);
        Directive[] all = [new SuspendDirective(), new LimitGraceDirective(until), new ReEnrollDirective()];
        Assert.Equal(all, await DirectivesAsync());
        Assert.Equal(all, await DirectivesAsync());
        await Harness.Agents.SuspendAsync("pos-001", suspended: false);
        await Harness.Agents.LimitGraceAsync("pos-001", until: null);
        Assert.Equal([new ReEnrollDirective()], await DirectivesAsync());
    }

    [Fact]
    public async Task Versions_far_above_the_highest_cannot_be_invalidated() =>
        await Assert.ThrowsAsync<OrderRefusedException>(() => Harness.Agents.InvalidateBelowAsync("pos-001", 4));
}
