using System.Globalization;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.Report;

namespace LicenseAgent.Sim.Commands;

/// <summary>What is done with one plan: run it, show it, explain it, make it smaller, keep it.</summary>
internal static class PlanCommands
{
    private static readonly TimeSpan ShrinkBudget = TimeSpan.FromSeconds(60);

    public static int Replay(Options options, TextWriter output)
    {
        RunOutcome run = Runner.Run(PlanOf(options));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"seed {run.Plan.Seed}  {run.Steps} steps  {run.Trace.Events} events  hash {run.Trace.Value:x16}"));
        return Tell(run, output);
    }

    public static int Show(Options options, TextWriter output)
    {
        output.Write(PlanOf(options).Write());
        return ExitCodes.Ok;
    }

    /// <summary>Everything observed, a line each, findings in their place.</summary>
    public static int Explain(Options options, TextWriter output)
    {
        RunOutcome run = Runner.Run(PlanOf(options));
        string? node = options.Text("node");
        Queue<Violation> findings = new(run.Violations.OrderBy(v => v.AtUs));
        foreach (Happening h in run.History.Where(h => node is null || h.Node == node || h.Node.Length == 0))
        {
            while (findings.TryPeek(out Violation? next) && next.AtUs < h.AtUs)
            {
                output.WriteLine($"!!!!!! {VirtualTime.Line(findings.Dequeue())}");
            }

            output.WriteLine($"{VirtualTime.Text(h.AtUs),16}  {HappeningText.Of(h)}");
        }

        return Tell(run, output);
    }

    /// <summary>The run as an HTML page.</summary>
    public static int Report(Options options, TextWriter output)
    {
        RunOutcome run = Runner.Run(PlanOf(options));
        string file = options.Text("out", $"run-{run.Plan.Profile}-{run.Plan.Seed}.html");
        File.WriteAllText(file, RunPage.Write(run));
        output.WriteLine(file);
        return Tell(run, output);
    }

    public static int Shrink(Options options, TextWriter output)
    {
        Plan plan = PlanOf(options);
        RunOutcome run = Runner.Run(plan);
        if (run.Violations.Count == 0)
        {
            output.WriteLine("This plan breaks nothing.");
            return ExitCodes.Ok;
        }

        string invariant = options.Text("invariant", run.Violations[0].Id);
        Shrinker shrinker = Shrinker.For(invariant, ShrinkBudget);
        Plan smallest = shrinker.Shrink(plan, run.Violations.First(v => v.Id == invariant).AtUs);
        output.WriteLine($"{invariant}: {plan.Faults.Count} faults and {plan.Orders.Count} orders became "
            + $"{smallest.Faults.Count} and {smallest.Orders.Count} in {shrinker.Tries} runs");
        if (options.Text("out") is { } file)
        {
            File.WriteAllText(file, smallest.Write());
        }
        else
        {
            output.Write(smallest.Write());
        }

        return ExitCodes.Violation;
    }

    public static int Corpus(Options options, TextWriter output)
    {
        int worst = ExitCodes.Ok;
        foreach (string file in Directory.EnumerateFiles(options.Text("folder", "tests/corpus"), "*.json")
            .Order(StringComparer.Ordinal))
        {
            RunOutcome run = Runner.Run(Plan.Read(File.ReadAllText(file)));
            output.WriteLine($"{(run.IsClean ? "ok  " : "FAIL")}  {Path.GetFileName(file)}");
            worst = Math.Max(worst, run.IsClean ? ExitCodes.Ok : Tell(run, output));
        }

        return worst;
    }

    private static Plan PlanOf(Options options) => options.Text("plan") is { } file
        ? Plan.Read(File.ReadAllText(file))
        : PlanMaker.Make(
            SeedCampaign.SeedOf(options.Text("seed") ?? throw new PlanException("Give --seed or --plan.")),
            Profile.Named(options.Text("profile", "lite")));

    private static int Tell(RunOutcome run, TextWriter output)
    {
        if (run.Escape is { } escape)
        {
            output.WriteLine(escape.ToString());
            return escape is LeftTheLoopException ? ExitCodes.NotDeterministic : ExitCodes.HarnessError;
        }

        foreach (Violation violation in run.Violations.Take(20))
        {
            output.WriteLine(VirtualTime.Line(violation));
        }

        output.WriteLine(run.Violations.Count == 0 ? "clean" : $"{run.Violations.Count} findings");
        return run.Violations.Count == 0 ? ExitCodes.Ok : ExitCodes.Violation;
    }
}
