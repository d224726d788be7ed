using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>When a till looks again at what it waits for.</summary>
public sealed class WakeTests
{
    private const long OutageS = 2 * 3_600;
    private const long TimeoutS = 5;
    private const long StallMs = 5_000;

    /// <summary>
    /// A try was due while the disk wrote the state of the minute. The loop planned its next look from after the write,
    /// saw nothing ahead, and slept for a minute; what is due may wait for the write and for nothing else.
    /// </summary>
    [Fact]
    public void A_try_that_comes_due_during_a_slow_write_is_not_put_off()
    {
        foreach (ulong seed in Enumerable.Range(1, 12).Select(n => (ulong)n))
        {
            Plan plan = new(
                Plan.CurrentFormat, seed, "wake", 1, 3, new Knobs(PosEveryS: 3_600, TimeoutS: (int)TimeoutS),
                [
                    new PlannedFault(1, OutageS, 3_600, "till-0001", FaultKinds.CutIn),
                    new PlannedFault(2, OutageS, 3_600, "till-0001", FaultKinds.DiskStall, StallMs),
                ],
                []);
            RunOutcome run = Runner.Run(plan);

            Assert.True(run.IsClean, $"seed {seed}: {string.Join('\n', run.Violations)}");
            long[] tries =
            [
                .. run.History.OfType<Received>().Select(r => r.AtUs / 1_000_000).Where(at => at >= OutageS),
            ];
            for (int k = 1; k <= 6; k++)
            {
                long backoffS = 1 << k;
                Assert.InRange(tries[k] - tries[k - 1], 1, backoffS + TimeoutS + (3 * StallMs / 1_000));
            }
        }
    }
}
