using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>Every file of a till in turn, with a bit flipped, half of it, or nothing of it left.</summary>
public sealed class DamagedFileTests
{
    private const long AtS = 7_000;

    // keysets, receipts, revocations, run, two secrets, state and its backup.
    private const int Files = 8;

    [Theory]
    [InlineData(FaultKinds.BitRot, 200)]
    [InlineData(FaultKinds.FileTruncated, 0)]
    [InlineData(FaultKinds.FileTruncated, 1)]
    public void A_till_comes_back_whatever_file_was_damaged(string kind, long how)
    {
        SortedSet<string> struck = new(StringComparer.Ordinal);
        for (int file = 0; file < Files; file++)
        {
            (RunOutcome run, string[] damaged) = Run(kind, file, how);
            struck.Add(Assert.Single(damaged));
            Assert.True(run.IsClean, $"{damaged[0]}: {string.Join('\n', run.Violations)}{run.Escape}");
        }

        Assert.Equal(Files, struck.Count);
        Assert.Contains("run.json", struck);
        Assert.Contains("keysets.json", struck);
        Assert.Contains("revocations.jws", struck);
    }

    [Theory]
    [InlineData(0, "agent.json")]
    [InlineData(1, "tls.pem")]
    public void The_identity_s_files_are_a_fault_of_their_own(long which, string name) =>
        Assert.Equal([name], Run(FaultKinds.IdentityDamaged, which, 2).Damaged);

    /// <returns>The run, and which files were other ones a moment after than a moment before.</returns>
    private static (RunOutcome Run, string[] Damaged) Run(string kind, long which, long how)
    {
        IReadOnlyDictionary<string, byte[]> before = new Dictionary<string, byte[]>();
        string[] damaged = [];
        Plan plan = new(
            Plan.CurrentFormat, 4, "damaged", 1, 6, new Knobs(RotationS: 7_200),
            [
                // Off before and after, so that nothing but the fault writes.
                new PlannedFault(1, AtS - 60, 600, SimWorld.NameOf(1), FaultKinds.PowerCut),
                new PlannedFault(2, AtS, 60, SimWorld.NameOf(1), kind, which, how),
            ],
            [new PlannedOrder(1, 4_000, SimWorld.NameOf(1), OrderKinds.Revoke)]);
        RunOutcome run = Runner.Run(plan, world =>
        {
            SimDisk disk = world.Tills[0].Disk;
            world.Loop.At((AtS * 1_000_000) - 1, () => before = disk.Snapshot());
            world.Loop.At((AtS * 1_000_000) + 1, () => damaged =
                [.. disk.Names.Where(n => !before[n].AsSpan().SequenceEqual(disk.Seen(n)))]);
        });
        return (run, damaged);
    }
}
