using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>What is taken out of a plan moves nothing else in it.</summary>
public sealed class IndependenceTests
{
    private static readonly string s_one = SimWorld.NameOf(1);
    private static readonly string s_other = SimWorld.NameOf(2);

    /// <summary>
    /// The server drew patience, keys and tokens for all tills from one stream, and the loop the order of what was ready
    /// from another: whatever happened at one till moved all that came after it everywhere.
    /// </summary>
    [Theory]
    [InlineData(FaultKinds.Kill)]
    [InlineData(FaultKinds.PowerCut)]
    [InlineData(FaultKinds.TpmAbsent)]
    [InlineData(FaultKinds.TpmReplaced)]
    [InlineData(FaultKinds.Loss)]
    [InlineData(FaultKinds.Flips)]
    [InlineData(FaultKinds.DiskFull)]
    [InlineData(FaultKinds.RestartLoop)]
    public void What_befalls_one_till_moves_nothing_at_another(string kind)
    {
        Plan without = new(
            Plan.CurrentFormat, 9, "apart", 2, 12, new Knobs(PosEveryS: 300, RotationS: 7_200, DriftPpm: 200, DriftEach: true),
            [
                new PlannedFault(1, 20_000, 600, s_other, FaultKinds.CutIn),
                new PlannedFault(2, 25_000, 1_200, "", FaultKinds.Overloaded),
            ],
            [new PlannedOrder(1, 30_000, s_other, OrderKinds.Rotate)]);
        Plan with = without with { Faults = [new PlannedFault(3, 4_000, 1_800, s_one, kind, 50), .. without.Faults] };

        Assert.Equal(HistoryOf(without, s_other), HistoryOf(with, s_other));
        Assert.NotEqual(HistoryOf(without, s_one), HistoryOf(with, s_one));
    }

    [Fact]
    public void Each_till_s_clock_drifts_by_itself()
    {
        long[] drifts = [];
        Plan plan = new(Plan.CurrentFormat, 9, "apart", 3, 1, new Knobs(DriftPpm: 300, DriftEach: true), [], []);
        Runner.Run(plan, world => drifts = [.. world.Tills.Select(t => t.DriftPpm)]);
        Assert.Equal(3, drifts.Distinct().Count());
        Assert.All(drifts, d => Assert.InRange(d, -300, 300));
    }

    private static string[] HistoryOf(Plan plan, string node) =>
        [.. Runner.Run(plan).History.Where(h => h.Node == node).Select(h => h.ToString())];
}
