using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Faults;
using LicenseAgent.Sim.World.Server;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>
/// Faults that meet each other: the end of any ended all of its part, so that the other was drawn on the page and
/// happened no more.
/// </summary>
public sealed class OverlapTests
{
    private const long Second = 1_000_000;
    private static readonly string s_till = SimWorld.NameOf(1);

    public static TheoryData<string, string> AtOnePart => new()
    {
        { FaultKinds.Loss, FaultKinds.Latency },
        { FaultKinds.Cut, FaultKinds.CutIn },
        { FaultKinds.Cut, FaultKinds.Cut },
        { FaultKinds.Portal, FaultKinds.Refused },
        { FaultKinds.Clog, FaultKinds.ClockBatteryOut },
        { FaultKinds.TpmAbsent, FaultKinds.TpmSlow },
        { FaultKinds.TpmFlaky, FaultKinds.TpmFlaky },
        { FaultKinds.DiskFull, FaultKinds.DiskStall },
        { FaultKinds.DiskReadOnly, FaultKinds.DiskUnsyncable },
        { FaultKinds.AuditFull, FaultKinds.AuditFull },
        { FaultKinds.WallStep, FaultKinds.WallStep },
        { FaultKinds.WallStep, FaultKinds.WallStrobe },
        { FaultKinds.ServerDown, FaultKinds.Overloaded },
        { FaultKinds.ServerSkew, FaultKinds.ServerSkew },
        { FaultKinds.PowerCut, FaultKinds.PowerCut },
        { FaultKinds.Pause, FaultKinds.Suspend },
        { FaultKinds.Suspend, FaultKinds.Suspend },
    };

    [Theory]
    [MemberData(nameof(AtOnePart))]
    public void The_end_of_a_fault_is_the_end_of_no_other(string one, string other)
    {
        foreach ((string within, string around) in (ReadOnlySpan<(string, string)>)[(one, other), (other, one)])
        {
            // The one within ends first, then the one that goes on is all there is.
            (string both, string alone, string none) = ("", "", "");
            Run(
                [Fault(1, around, 3_700, 1_000), Fault(2, within, 3_600, 600)],
                (4_300, world => both = Ails(world)), (5_000, world => none = Ails(world)));
            Run([Fault(1, around, 3_700, 1_000)], (4_300, world => alone = Ails(world)));

            Assert.NotEqual(none, alone);
            Assert.Equal(alone, both);
        }
    }

    [Fact]
    public void What_is_armed_falls_each_on_its_own_time_and_is_called_off_by_its_own_fault()
    {
        Countdown countdown = new();
        countdown.Arm(1, 2);
        countdown.Arm(2, 3);
        countdown.Arm(3, 4);
        countdown.Disarm(3);
        Assert.Equal([false, true, true, false, false], Enumerable.Range(0, 5).Select(_ => countdown.Falls()));
        Assert.False(countdown.IsArmed);
    }

    [Fact]
    public void Of_two_crashes_that_are_armed_both_come()
    {
        RunOutcome run = Run([Fault(1, FaultKinds.Crash, 3_600, 3_600, 5), Fault(2, FaultKinds.Crash, 3_600, 3_600, 7)]);
        Assert.Equal(2, run.History.OfType<Ended>().Count(e => e.How == EndOf.Kill));
    }

    [Fact]
    public void A_crash_that_did_not_come_before_its_fault_ended_comes_no_more()
    {
        RunOutcome run = Run([Fault(1, FaultKinds.Crash, 3_600, 60, 100_000), Fault(2, FaultKinds.Crash, 3_600, 3_600, 7)]);
        Assert.Equal(1, run.History.OfType<Ended>().Count(e => e.How == EndOf.Kill));
    }

    [Fact]
    public void A_till_that_two_keep_off_starts_when_both_let_it()
    {
        bool early = true, late = false;
        Run(
            [Fault(1, FaultKinds.Kill, 3_600, 600), Fault(2, FaultKinds.PowerCut, 3_700, 3_600)],
            (5_000, world => early = world.Tills[0].IsRunning), (7_400, world => late = world.Tills[0].IsRunning));
        Assert.Equal((false, true), (early, late));
    }

    [Fact]
    public void What_is_killed_asleep_starts_when_the_machine_wakes()
    {
        bool asleep = true, awake = false;
        Run(
            [Fault(1, FaultKinds.Suspend, 3_600, 3_600), Fault(2, FaultKinds.Kill, 3_700, 10)],
            (5_000, world => asleep = world.Tills[0].IsRunning), (7_300, world => awake = world.Tills[0].IsRunning));
        Assert.Equal((false, true), (asleep, awake));
    }

    [Fact]
    public void A_replica_that_takes_another_s_place_gives_it_back_to_the_server()
    {
        long before = 0, after = 0;
        Run(
            [
                Fault(1, FaultKinds.ServerStale, 40_000, 600, 30_000), Fault(2, FaultKinds.ServerStale, 40_300, 600, 35_000),
            ],
            (39_999, world => before = Highest(world)), (41_000, world => after = Highest(world)));
        Assert.True(before > 1);
        Assert.InRange(after, before, long.MaxValue);
    }

    private static long Highest(SimWorld world) => world.Server.Find(s_till)!.Highest;

    private static PlannedFault Fault(int id, string kind, long atS, long forS, long arg = 50) =>
        new(id, atS, forS, FaultKinds.IsOfServer(kind) ? "" : s_till, kind, arg, 1);

    private static RunOutcome Run(IReadOnlyList<PlannedFault> faults, params (long AtS, Action<SimWorld> Look)[] looks)
    {
        Plan plan = new(Plan.CurrentFormat, 4, "overlap", 1, 12, new Knobs(RotationS: 7_200), faults, []);
        return Runner.Run(plan, world =>
        {
            foreach ((long atS, Action<SimWorld> look) in looks)
            {
                world.Loop.At((atS * Second) + (Second / 2), () => look(world));
            }
        });
    }

    /// <summary>Everything that ails the till and the server, in words.</summary>
    private static string Ails(SimWorld world)
    {
        SimTill till = world.Tills[0];
        (LinkTroubles link, TpmTroubles tpm, DiskTroubles disk) = (till.Link, till.Tpm.Troubles, till.Disk.Troubles);
        ServerTroubles server = world.Server.Troubles;
        bool isOffClock = Math.Abs(till.Wall.OffsetUs) > 0;
        return string.Join(' ',
            link.CutIn, link.CutOut, link.LossIn, link.LatencyUs, link.Forges, link.NoWay, link.MessageUs,
            tpm.Absent, tpm.SlowUs, tpm.FlakyOneIn, disk.Full, disk.IsReadOnly, disk.StallUs, disk.FailSyncs,
            till.Audit.Full, isOffClock, server.IsDown, server.IsOverloaded, server.SkewUs, till.IsStopped,
            till.IsRunning);
    }
}
