using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>A program that is too old stands before files of a newer one.</summary>
public sealed class FormatsTests
{
    private const long Second = 1_000_000;
    private const long HourS = 3_600;

    [Theory]
    [InlineData(0, "run.json")]
    [InlineData(1, "agent.json")]
    [InlineData(2, "state.json")]
    public void I28_every_file_with_a_format_of_its_own_is_refused_and_the_folder_is_left(long which, string file)
    {
        RunOutcome run = Runner.Run(PlanOf(Newer(which)));

        Assert.True(run.IsClean, string.Join('\n', run.Violations));
        NewerFormatLeft left = Assert.Single(run.History.OfType<NewerFormatLeft>());
        Assert.Equal((true, true, file), (left.IsRefused, left.IsUntouched, left.File));
        Assert.Contains(run.History, h => h is Ended { How: EndOf.NewerFormat });
    }

    [Fact]
    public void I28_a_change_of_any_file_of_the_folder_is_found()
    {
        RunOutcome run = Runner.Run(PlanOf(Newer(2)), world => world.Loop.At(
            (HourS + 60) * Second, () => world.Tills[0].Disk.Put("keysets.json.tmp", [1])));

        Assert.Contains(run.Violations, v => v.Id == "I28");
    }

    [Fact]
    public void I28_a_till_that_is_locked_has_not_refused_what_it_could_have_read()
    {
        // The TPM is away, and run.json is read before it is asked: to be LOCKED over it is no excuse.
        PlannedFault away = new(2, HourS - 60, 1_200, SimWorld.NameOf(1), FaultKinds.TpmAbsent);
        RunOutcome read = Runner.Run(PlanOf(away, Newer(0)));
        RunOutcome unread = Runner.Run(PlanOf(away, Newer(2)));

        Assert.True(read.IsClean && unread.IsClean);
        Assert.Contains(read.History, h => h is Ended { How: EndOf.NewerFormat });
        Assert.DoesNotContain(unread.History, h => h is Ended { How: EndOf.NewerFormat });
    }

    private static PlannedFault Newer(long which) =>
        new(1, HourS, 600, SimWorld.NameOf(1), FaultKinds.NewerFormat, which);

    private static Plan PlanOf(params PlannedFault[] faults) =>
        new(Plan.CurrentFormat, 3, "formats", 1, 2, new Knobs(PosEveryS: 300), faults, []);
}
