using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Commands;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>What the simulator is asked wrongly it says, and does nothing.</summary>
public sealed class SimCommandLineTests
{
    [Theory]
    [InlineData("run --workers 2", "Unrecognized command or argument '--workers'")]
    [InlineData("run --seeds x", "Cannot parse argument 'x' for option '--seeds'")]
    [InlineData("run --seeds 0", "--seeds takes a number from 1 on.")]
    [InlineData("run --profile nope", "No profile is called nope; there are lite, swarm")]
    [InlineData("run --from abc", "\"abc\" is no seed")]
    [InlineData("replay", "Give a seed, or --plan.")]
    [InlineData("replay 17 18", "Unrecognized command or argument '18'")]
    [InlineData("replay 17 --seed 18", "Give the seed once, with its option or without.")]
    [InlineData("explain 17 --plan a.json", "Give a seed or --plan, not both.")]
    [InlineData("failnth nope", "Argument 'nope' not recognized")]
    [InlineData("failnth orders --scenario enrol", "Give the scenario once")]
    [InlineData("failnth orders --call 3", "--call is one call of a scenario and a --blow; name both.")]
    [InlineData("failnth --blow disk --call 3", "--call is one call of a scenario and a --blow; name both.")]
    [InlineData("failnth enrol --blow disk --call 1000000", "enrol is over before a failing disk at step 1000000.")]
    [InlineData("failnth --report /dev/null/pages", "/dev/null/pages")]
    [InlineData("corpus --folder . --report /dev/null/pages", "/dev/null/pages")]
    [InlineData("failnth --blow zap", "Argument 'zap' not recognized")]
    [InlineData("corpus --folder nowhere", "There is no folder nowhere.")]
    [InlineData("replay --plan nowhere/a.json", "nowhere/a.json")]
    [InlineData("run --seeds 1 --report /dev/null/pages", "/dev/null/pages")]
    [InlineData("frob", "Unrecognized command or argument 'frob'")]
    public void What_it_does_not_understand_it_says(string arguments, string said)
    {
        using StringWriter output = new();
        using StringWriter error = new();
        Assert.Equal(ExitCodes.Usage, SimCommandLine.Run(arguments.Split(' '), output, error));
        Assert.Contains(said, error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("clean", output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[1]")]
    [InlineData("{}")]
    [InlineData("""{"format":1}""")]
    [InlineData("""{"format":1,"seed":"x"}""")]
    public void A_file_that_is_no_plan_is_named(string text)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, text);
            using StringWriter error = new();
            Assert.Equal(ExitCodes.Usage, SimCommandLine.Run(["replay", "--plan", file], TextWriter.Null, error));
            Assert.StartsWith(file + ": ", error.ToString(), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void What_is_no_fault_of_the_caller_is_the_harness_s_with_its_stack()
    {
        using FullDisk output = new();
        using StringWriter error = new();
        Assert.Equal(ExitCodes.HarnessError, SimCommandLine.Run(["plan", "--seed", "1"], output, error));
        Assert.Contains("IOException: no space", error.ToString(), StringComparison.Ordinal);
        Assert.Contains("   at ", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_plan_of_a_seed_is_the_same_each_time()
    {
        string Plan(string arguments)
        {
            using StringWriter output = new();
            Assert.Equal(ExitCodes.Ok, SimCommandLine.Run(arguments.Split(' '), output, TextWriter.Null));
            return output.ToString();
        }

        Assert.Equal(Plan("plan --seed 17 --profile swarm"), Plan("plan --seed 17 --profile swarm"));
        Assert.NotEqual(Plan("plan --seed 17 --profile swarm"), Plan("plan --seed 18 --profile swarm"));
        Assert.Equal(Plan("plan --seed 17"), Plan("plan 17"));
    }

    private sealed class FullDisk : StringWriter
    {
        public override void Write(string? value) => throw new IOException("no space");
    }
}
