using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>Plans become as small as what they break allows.</summary>
public sealed class ShrinkerTests
{
    private static readonly Plan Large = new(
        Plan.CurrentFormat, 1, "test", 4, 96, new Knobs(),
        [.. Enumerable.Range(1, 24).Select(i => new PlannedFault(i, i * 3_600, 60, SimWorld.NameOf(1), FaultKinds.Kill))],
        [.. Enumerable.Range(1, 6).Select(i => new PlannedOrder(i, i * 3_600, SimWorld.NameOf(1), OrderKinds.Rotate))]);

    [Fact]
    public void Only_what_is_needed_is_left()
    {
        Plan small = Shrink(p => Has(p, 3) && Has(p, 7), atHour: 20);
        Assert.Equal([3, 7], small.Faults.Select(f => f.Id));
        Assert.Empty(small.Orders);
        Assert.Equal(1, small.Tills);
    }

    [Fact]
    public void What_comes_after_the_finding_is_cut_off_at_once()
    {
        Plan small = Shrink(p => Has(p, 3) && p.Hours >= 12, atHour: 12);
        Assert.Equal(13, small.Hours);
        Assert.Equal([3], small.Faults.Select(f => f.Id));
    }

    [Fact]
    public void A_plan_that_needs_all_of_it_stays()
    {
        Plan same = Shrink(p => p.Write() == Large.Write(), atHour: 200);
        Assert.Equal(Large.Write(), same.Write());
    }

    [Fact]
    public void When_time_is_up_the_smallest_so_far_is_given()
    {
        Shrinker shrinker = new(_ => true, TimeSpan.Zero);
        Assert.Equal(Large.Write(), shrinker.Shrink(Large, long.MaxValue).Write());
    }

    private static Plan Shrink(Func<Plan, bool> breaks, int atHour) =>
        new Shrinker(breaks, TimeSpan.FromMinutes(1)).Shrink(Large, atHour * 3_600_000_000L);

    private static bool Has(Plan plan, int id) => plan.Faults.Any(f => f.Id == id);
}
