using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>What a till notes of its processes, of its log and of faults that find nobody.</summary>
public sealed class SimTillTests
{
    private const long Second = 1_000_000;
    private const long HourS = 3_600;

    private static readonly string s_till = SimWorld.NameOf(1);

    /// <summary>Whatever gets out of an agent that runs, production exits 70 for.</summary>
    [Theory]
    [InlineData(null, true, true, "Stop")]
    [InlineData(null, true, false, "Crash")]
    [InlineData("storage", false, false, "Stop")]
    [InlineData("storage", true, false, "Crash")]
    [InlineData("storage", true, true, "Crash")]
    [InlineData("tpm", false, false, "Crash")]
    [InlineData("tpm", true, false, "Crash")]
    [InlineData("newer", true, false, "NewerFormat")]
    public void I00_a_failure_that_gets_out_of_a_running_agent_is_a_crash_and_not_a_stop(
        string? failure, bool ran, bool asked, string how)
    {
        Exception? e = failure switch
        {
            "storage" => new StorageException("io_error", "read failed"),
            "tpm" => new TpmUnavailableException(TpmTrouble.Unavailable, "It is away."),
            "newer" => new NewerFormatException("run.json", 3, 2),
            _ => null,
        };

        Assert.Equal(how, $"{SimTill.Judge(e, ran, asked, diskInTrouble: true, newerFiles: true)}");
        if (e is not null)
        {
            Assert.Equal(EndOf.Crash, SimTill.Judge(e, ran, asked, diskInTrouble: false, newerFiles: false));
        }
    }

    [Fact]
    public void I00_a_running_agent_that_refuses_files_of_its_own_format_crashes_and_is_started_again()
    {
        RunOutcome run = Runner.Run(PlanOf(Fault(1, HourS, 60, FaultKinds.Kill)), world =>
        {
            bool failed = false;
            world.Tills[0].PortCalled = name =>
            {
                if (name == "disk.read" && world.Loop.NowUs > HourS * Second && world.Tills[0].Agent is not null
                    && !failed)
                {
                    failed = true;
                    throw new NewerFormatException("run.json", 3, 2);
                }
            };
        });

        Violation crash = Assert.Single(run.Violations);
        Assert.Equal("I00", crash.Id);
        Assert.StartsWith("NewerFormatException: run.json has format 3", crash.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void I00_an_agent_that_cannot_read_its_disk_at_the_start_crashes_unless_the_disk_is_in_trouble(bool trouble)
    {
        PlannedFault[] faults = [Fault(1, HourS, 60, FaultKinds.Kill), Fault(2, HourS, 600, FaultKinds.DiskStall, 1)];
        RunOutcome run = Runner.Run(PlanOf([.. faults.Take(trouble ? 2 : 1)]), world =>
        {
            int failures = 0;
            world.Tills[0].PortCalled = name =>
            {
                if (name == "audit.segments" && world.Loop.NowUs > HourS * Second && failures++ == 0)
                {
                    throw new StorageException("io_error", "read failed: Input/output error.");
                }
            };
        });

        EndOf[] ends = [.. run.History.OfType<Ended>().Select(e => e.How)];
        Assert.Equal([EndOf.Kill, trouble ? EndOf.Stop : EndOf.Crash], ends);
        Assert.Equal("NORMAL", run.History.OfType<Seen>().Last().Mode);
    }

    /// <summary>Frames depend on what the compiler inlines, and two runs must have one hash.</summary>
    [Fact]
    public void I00_the_stack_of_a_crash_is_for_people_and_not_in_the_trace()
    {
        Ended crash = new(1, s_till, EndOf.Crash, "A: b") { Stack = "at Somewhere()" };

        Assert.DoesNotContain("Somewhere", crash.ToString(), StringComparison.Ordinal);
        Violation found = Assert.Single(Checkers.Histories.Found<NoCrash>(crash));
        Assert.Contains("Somewhere", found.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(FaultKinds.Suspend)]
    [InlineData(FaultKinds.Pause)]
    public void A_till_that_is_off_is_neither_stopped_nor_asleep(string kind)
    {
        bool stopped = true;
        RunOutcome run = Runner.Run(
            PlanOf(Fault(1, HourS, 600, FaultKinds.PowerCut), Fault(2, HourS + 60, 2 * HourS, kind)),
            world => world.Loop.At((HourS + 1_200) * Second, () => stopped = world.Tills[0].IsStopped));

        Assert.False(stopped);
        Assert.DoesNotContain(run.History, h => h is FaultBegan { Fault: 2 } or FaultEnded { Fault: 2 });
        Assert.Contains(run.History.OfType<Validated>(), v => v.AtUs > (HourS + 1_200) * Second);
    }

    /// <summary>The process ends by itself, nothing is lost, and the next boot is another one.</summary>
    [Fact]
    public void A_till_that_is_switched_off_comes_back_with_another_boot_and_all_that_it_had()
    {
        RunOutcome run = Runner.Run(PlanOf(Fault(1, HourS, 1_800, FaultKinds.Reboot)));

        Assert.True(run.IsClean, string.Join('\n', run.Violations));
        Assert.Equal([EndOf.Stop, EndOf.ShutDown], run.History.OfType<Ended>().Select(e => e.How));
        Started[] starts = [.. run.History.OfType<Started>()];
        Assert.Equal(2, starts.Length);
        Assert.NotEqual(starts[0].BootId, starts[1].BootId);
        Assert.Equal((HourS + 1_800) * Second, starts[1].AtUs);
    }

    [Fact]
    public void A_process_that_does_not_end_in_time_is_killed_when_the_machine_goes_off()
    {
        RunOutcome run = Runner.Run(
            PlanOf(Fault(1, HourS, 1_800, FaultKinds.Reboot), Fault(2, HourS - 1, 900, FaultKinds.DiskStall, 200_000)));

        Assert.Equal([EndOf.Kill, EndOf.ShutDown], run.History.OfType<Ended>().Select(e => e.How));
        Assert.Equal((HourS + 90) * Second, run.History.OfType<Ended>().First().AtUs);
    }

    [Fact]
    public void A_till_that_is_off_every_night_is_on_every_day()
    {
        const long Day = 86_400;
        RunOutcome run = Runner.Run(PlanOf(Fault(1, HourS, 3 * Day, FaultKinds.Night, 10 * HourS)) with { Hours = 80 });

        Assert.True(run.IsClean, string.Join('\n', run.Violations));
        Assert.Equal(
            [.. Enumerable.Range(0, 3).Select(day => (HourS + (day * Day)) / 60)],
            run.History.OfType<Ended>().Where(e => e.How == EndOf.ShutDown).Select(e => e.AtUs / (60 * Second)));
        Assert.Equal(
            [0, .. Enumerable.Range(0, 3).Select(day => (11 * HourS) + (day * Day))],
            run.History.OfType<Started>().Select(e => e.AtUs / Second));
    }

    [Fact]
    public void A_staging_is_on_record_in_whatever_file_names_the_version()
    {
        using SimWorld world = new(PlanOf());
        SimTill till = world.Tills[0];
        till.Audit.Restore(Staging(4), [("old.log", Staging(2)), ("new.log", Staging(3))]);

        Assert.Equal([false, true, true, true, false], Enumerable.Range(1, 5).Select(v => till.IsStagingOnRecord(v)));
        till.Audit.Move("old.log", null);
        Assert.True(till.IsStagingOnRecord(2));
        Assert.False(till.IsStagingOnRecord(1));
    }

    [Fact]
    public void What_an_application_has_sent_before_is_not_fresh()
    {
        RunOutcome run = Runner.Run(PlanOf() with { Knobs = new Knobs(PosEveryS: 60, RepeatNonces: 300) });
        Validated[] answers = [.. run.History.OfType<Validated>()];

        Assert.True(run.IsClean);
        Assert.All(answers.GroupBy(v => (v.Uid, v.Nonce)), same => Assert.True(same.Count(v => v.Fresh) <= 1));
        Assert.All(answers.Where(v => v.Reason == "nonce_replayed"), v => Assert.False(v.Fresh));
        Assert.Contains(answers, v => v.Reason == "nonce_replayed");
    }

    private static byte[] Staging(long version) => Encoding.UTF8.GetBytes(
        $"{{\"event\":\"secret_staged\",\"details\":{{\"version\":{version}}}}}\n");

    private static PlannedFault Fault(int id, long atS, long forS, string kind, long arg = 0) =>
        new(id, atS, forS, s_till, kind, arg);

    private static Plan PlanOf(params PlannedFault[] faults) =>
        new(Plan.CurrentFormat, 3, "machine", 1, 3, new Knobs(PosEveryS: 300), faults, []);
}
