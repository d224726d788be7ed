using System.Diagnostics;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>A seed is a run, bit for bit.</summary>
public sealed class DeterminismTests
{
    private const string Seed = "3";

    [Fact]
    public void Two_runs_of_a_seed_in_one_process_have_the_same_trace()
    {
        Plan plan = PlanMaker.Make(5, Profile.Named("lite"));
        Assert.Null(TraceHash.FirstDifference(Runner.Run(plan).Trace, Runner.Run(plan).Trace));
    }

    [Fact]
    public void Two_processes_with_another_compiler_and_another_collector_print_the_same_hash()
    {
        string plain = Replay([]);
        string other = Replay(
            new() { ["DOTNET_TieredCompilation"] = "0", ["DOTNET_gcServer"] = "1", ["TZ"] = "Asia/Tokyo" });
        Assert.Contains("hash", plain, StringComparison.Ordinal);
        Assert.Equal(plain, other);
    }

    [Fact]
    public void A_task_that_leaves_the_loop_of_a_running_agent_ends_the_run()
    {
        bool left = false;
        RunOutcome run = Runner.Run(PlanMaker.Make(5, Profile.Named("lite")) with { Hours = 1 }, world =>
            world.Tills[0].PortCalled = name =>
            {
                if (name == "disk.replace" && !left)
                {
                    left = true;
                    using ManualResetEventSlim done = new();
                    Task.Run(() =>
                    {
                        Record.Exception(world.Loop.AssertThread);
                        done.Set();
                    });
                    done.Wait();
                }
            });
        Assert.True(left);
        Assert.IsType<LeftTheLoopException>(run.Escape);
    }

    [Fact]
    public void A_plan_is_the_same_after_it_was_written_and_read()
    {
        Plan plan = PlanMaker.Make(11, Profile.Named("swarm"));
        Assert.Equal(plan.Write(), Plan.Read(plan.Write()).Write());
    }

    [Fact]
    public void What_is_taken_out_of_a_plan_moves_nothing_before_it()
    {
        Plan plan = PlanMaker.Make(2, Profile.Named("lite")) with { Hours = 24 };
        PlannedFault late = new(99, 80_000, 60, Sim.World.SimWorld.NameOf(1), FaultKinds.Kill);
        string[] without = Texts(plan);
        string[] with = Texts(plan with { Faults = [.. plan.Faults, late] });
        Assert.Equal(without.TakeWhile(Before), with.TakeWhile(Before));

        static bool Before(string text) => long.Parse(
            text[(text.IndexOf("AtUs = ", StringComparison.Ordinal) + 7)..].Split(',')[0],
            System.Globalization.CultureInfo.InvariantCulture) < 80_000_000_000;
    }

    private static string[] Texts(Plan plan) => [.. Runner.Run(plan).History.Select(h => h.ToString())];

    private static string Replay(Dictionary<string, string> environment)
    {
        ProcessStartInfo start = new(
            Path.Combine(AppContext.BaseDirectory, "license-agent-sim"), ["replay", "--seed", Seed, "--profile", "lite"])
        {
            RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        string said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return said;
    }
}
