using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>Calls on a till's sockets: who makes them, and what is expected of an answer.</summary>
public sealed class CallTests
{
    private const long Second = 1_000_000;
    private const long HourS = 3_600;

    private static readonly string s_till = SimWorld.NameOf(1);

    [Theory]
    [InlineData(false, 1000, LocalPaths.ValidateLicense)]
    [InlineData(true, 500, ManagementPaths.Rotate)]
    public void I23_more_bytes_than_a_call_may_have_are_refused_as_such(bool admin, uint uid, string path)
    {
        int status = 0;
        Runner.Run(PlanOf([], []), world => world.Loop.At(HourS * Second, () => world.Tills[0].Call(
            admin, new PeerCredentials(uid, uid, 5), "POST", path, [], (answer, _) => status = answer, oversized: true)));

        Assert.Equal(413, status);
    }

    [Fact]
    public void I22_strangers_and_viewers_try_every_order_and_nonsense_comes_to_both_sockets()
    {
        RunOutcome run = Runner.Run(
            PlanOf([], []) with { Hours = 24, Knobs = new Knobs(PosEveryS: 60, OddCalls: 900, PosRate: 0) });
        ILookup<string, string> odd = run.History.OfType<OddCall>().ToLookup(c => c.Kind, c => c.What);
        string[] orders =
        [
            ManagementPaths.Rotate, ManagementPaths.Enroll, ManagementPaths.Degraded, ManagementPaths.Reload,
            "/v1/secrets/1/invalidate",
        ];

        Assert.True(run.IsClean, string.Join('\n', run.Violations));
        Assert.All(["viewer", "stranger", "garbage", "oversized"], kind => Assert.Empty(orders.Except(odd[kind])));
        Assert.All(["stranger", "garbage", "oversized"], kind => Assert.Contains(LocalPaths.ValidateLicense, odd[kind]));
        Assert.All(
            run.History.OfType<OddCall>().Where(c => c.Kind == "oversized"),
            c => Assert.Contains(c.Status, (int[])[413, 429]));
    }

    [Theory]
    [InlineData(FaultKinds.DiskStall, 400_000, true)]
    [InlineData(FaultKinds.TpmSlow, 29_000, false)]
    public void I24_an_order_that_is_not_answered_in_its_time_is_noted_where_its_TPM_is_not_slow(
        string kind, long milliseconds, bool noted)
    {
        RunOutcome run = Runner.Run(PlanOf(
            [new PlannedFault(1, HourS - 1, 1_800, s_till, kind, milliseconds)],
            [new PlannedOrder(1, HourS, s_till, OrderKinds.Rotate)]));

        Assert.Equal(noted, run.History.OfType<Unanswered>().Any(u => u.Path == ManagementPaths.Rotate));
    }

    private static Plan PlanOf(IReadOnlyList<PlannedFault> faults, IReadOnlyList<PlannedOrder> orders) =>
        new(Plan.CurrentFormat, 3, "calls", 1, 2, new Knobs(PosEveryS: 300), faults, orders);
}
