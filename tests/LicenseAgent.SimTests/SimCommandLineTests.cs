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
    [InlineData("replay", "Give --seed or --plan.")]
    [InlineData("replay 17", "Unrecognized command or argument '17'")]
    [InlineData("failnth --blow zap", "Argument 'zap' not recognized")]
    [InlineData("corpus --folder nowhere", "There is no folder nowhere.")]
    [InlineData("frob", "Unrecognized command or argument 'frob'")]
    public void What_it_does_not_understand_it_says(string arguments, string said)
    {
        using StringWriter output = new();
        using StringWriter error = new();
        Assert.Equal(ExitCodes.Usage, SimCommandLine.Run(arguments.Split(' '), output, error));
        Assert.Contains(said, error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("clean", output.ToString(), StringComparison.Ordinal);
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
    }
}
