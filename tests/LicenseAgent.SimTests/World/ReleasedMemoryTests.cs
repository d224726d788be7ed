using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>What a simulated process held outside the collector's reach goes with it, however it ends.</summary>
public sealed class ReleasedMemoryTests
{
    // Each lost region of secrets is three mappings, and there are a thousand starts.
    private const int MappingsMax = 300;

    [Fact]
    public void A_process_that_ends_while_it_starts_leaves_no_mapping_behind()
    {
        Plan plan = new(
            Plan.CurrentFormat, 5, "disk", 1, 4, new Knobs(),
            [new PlannedFault(1, 3_600, 6_000, SimWorld.NameOf(1), FaultKinds.DiskUnreadable),
                new PlannedFault(2, 3_700, 10, SimWorld.NameOf(1), FaultKinds.Kill)], []);
        RunOutcome first = Runner.Run(plan);
        int before = Mappings();
        Runner.Run(plan);
        Assert.True(first.History.OfType<LicenseAgent.Sim.History.Started>().Count() > 1_000);
        Assert.InRange(Mappings() - before, -MappingsMax, MappingsMax);
    }

    private static int Mappings() => File.ReadLines("/proc/self/maps").Count();
}
