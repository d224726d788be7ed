using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.Plans;

/// <summary>What the seeds of a profile draw, over many of them.</summary>
public sealed class FaultDrawTests
{
    private const int Seeds = 200;

    public static TheoryData<string> Drawn => [.. Profile.All.Where(p => p.FaultsMax > 0).Select(p => p.Name)];

    [Theory]
    [MemberData(nameof(Drawn))]
    public void Most_of_the_time_of_most_seeds_is_healthy(string profile)
    {
        double[] shares = [.. Plans(profile).Select(HealthyShare).Order()];
        Assert.True(shares[Seeds / 2] > 0.5, $"the median is {shares[Seeds / 2]:f2}");
    }

    [Theory]
    [MemberData(nameof(Drawn))]
    public void Every_fault_of_a_profile_occurs_and_lasts_as_long_as_it_must(string profile)
    {
        PlannedFault[] faults = [.. Plans(profile).SelectMany(p => p.Faults)];
        Assert.Empty(Profile.Named(profile).Kinds.Except(faults.Select(f => f.Kind)));
        Assert.All(faults, f => Assert.True(f.ForS >= FaultDraw.LeastS(f.Kind), $"{f}"));
    }

    [Fact]
    public void Swarm_has_every_fault_there_is()
    {
        Assert.Empty(FaultKinds.All.Except(Profile.Named("swarm").Kinds));
        Assert.Empty(FaultKinds.Seldom.Except(Plans("swarm").SelectMany(p => p.Faults).Select(f => f.Kind)));
    }

    [Fact]
    public void Some_seeds_have_few_faults_and_some_many_and_a_till_is_often_spared()
    {
        Plan[] plans = Plans("swarm");
        Assert.InRange(plans.Count(p => p.Faults.Count <= 5), Seeds / 10, Seeds / 2);
        Assert.InRange(plans.Count(p => p.Faults.Count >= 20), Seeds / 10, Seeds / 2);
        Plan[] several = [.. plans.Where(p => p.Tills > 1 && p.Faults.Count >= 10)];
        Assert.InRange(several.Count(HasSpared), several.Length / 4, several.Length);
    }

    [Fact]
    public void A_process_may_be_paused_for_more_than_a_day()
    {
        Assert.Contains(
            new[] { "swarm", "lite", "clock", "tpm" }.SelectMany(Plans).SelectMany(p => p.Faults),
            f => f.Kind == FaultKinds.Pause && f.ForS > 86_400);
    }

    [Theory]
    [InlineData("swarm")]
    [InlineData("rotation")]
    public void A_till_is_cut_off_after_some_of_the_orders_that_it_has_to_keep(string profile)
    {
        Plan[] plans = Plans(profile);
        PlannedOrder[] lasting = [.. plans.SelectMany(p => p.Orders).Where(o => OrderKinds.Lasting.Contains(o.Kind))];
        int cutOff = plans.Sum(plan => plan.Faults.Count(f => f.Kind == FaultKinds.CutOffOnceTold
            && plan.Orders.Any(o => (o.AtS, o.Till) == (f.AtS, f.Till))));
        Assert.InRange(cutOff, lasting.Length / 5, lasting.Length / 2);
        Assert.Equal(cutOff, plans.Sum(p => p.Faults.Count(f => f.Kind == FaultKinds.CutOffOnceTold)));
        Assert.All(plans, p => Assert.Equal(p.Faults.Count, p.Faults.Select(f => f.Id).Distinct().Count()));
    }

    [Theory]
    [InlineData("clock", true)]
    [InlineData("tpm", false)]
    public void Who_sleeps_is_cut_off_from_the_server_in_some_seeds_where_networks_fail(string profile, bool some)
    {
        PlannedFault[] asleep = [.. Plans(profile).SelectMany(plan => plan.Faults
            .Where(f => f.Kind == FaultKinds.Suspend && plan.Faults.Any(
                c => c.Kind == FaultKinds.Cut && (c.Till, c.AtS) == (f.Till, f.AtS) && c.ForS > f.ForS)))];
        Assert.Equal(some, asleep.Length > 0);
    }

    /// <summary>Swarm seed 732: OFFLINE after 727 s, asked for every 1802 s.</summary>
    [Fact]
    public void No_till_is_OFFLINE_between_two_check_ins_by_its_settings() =>
        Assert.All(Plans("swarm"), p => Assert.True(p.Knobs.OfflineS >= 2 * p.Knobs.CheckInS, $"{p.Knobs}"));

    private static Plan[] Plans(string profile) =>
        [.. Enumerable.Range(1, Seeds).Select(seed => PlanMaker.Make((ulong)seed, Profile.Named(profile)))];

    private static bool HasSpared(Plan plan) => Enumerable.Range(1, plan.Tills).Select(SimWorld.NameOf)
        .Any(till => plan.Faults.All(f => f.Till != till));

    /// <summary>Of the time of all tills, that in which no fault is open at the till or at the server.</summary>
    private static double HealthyShare(Plan plan)
    {
        long all = plan.Hours * 3_600L;
        double sick = 0;
        foreach (string till in Enumerable.Range(1, plan.Tills).Select(SimWorld.NameOf))
        {
            long until = 0;
            foreach (PlannedFault fault in plan.Faults.Where(f => f.Till.Length == 0 || f.Till == till).OrderBy(f => f.AtS))
            {
                long from = Math.Max(until, fault.AtS);
                until = Math.Max(until, Math.Min(all, fault.AtS + fault.ForS));
                sick += Math.Max(0, until - from);
            }
        }

        return 1 - (sick / (plan.Tills * all));
    }
}
