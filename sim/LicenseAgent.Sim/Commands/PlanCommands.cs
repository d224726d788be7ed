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

    public static int Replay(Plan plan, TextWriter output)
    {
        RunOutcome run = Runner.Run(plan);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"seed {run.Plan.Seed}  {run.Steps} steps  {run.Trace.Events} events  hash {run.Trace.Value:x16}"));
        return Tell(run, output);
    }

    public static int Show(Plan plan, TextWriter output)
    {
        output.Write(plan.Write());
        return ExitCodes.Ok;
    }

    /// <summary>Everything observed, a line each, findings in their place.</summary>
    public static int Explain(Plan plan, string? node, TextWriter output)
    {
        RunOutcome run = Runner.Run(plan);
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
    public static int Report(Plan plan, string? file, TextWriter output)
    {
        file ??= $"run-{plan.Profile}-{plan.Seed}.html";
        RunOutcome run = Runner.Run(plan);
        NamedFile.Write(file, RunPage.Write(run));
        output.WriteLine(file);
        return Tell(run, output);
    }

    public static int Shrink(Plan plan, string? invariant, string? file, TextWriter output)
    {
        RunOutcome run = Runner.Run(plan);
        if (run.Violations.Count == 0)
        {
            output.WriteLine("This plan breaks nothing.");
            return ExitCodes.Ok;
        }

        Violation broken = invariant is null
            ? run.Violations[0]
            : run.Violations.FirstOrDefault(v => v.Id == invariant)
                ?? throw new PlanException($"This plan does not break {invariant} but {run.Violations[0].Id}.");
        Shrinker shrinker = Shrinker.For(broken.Id, ShrinkBudget);
        Plan smallest = shrinker.Shrink(plan, broken.AtUs);
        output.WriteLine($"{broken.Id}: {plan.Faults.Count} faults and {plan.Orders.Count} orders became "
            + $"{smallest.Faults.Count} and {smallest.Orders.Count} in {shrinker.Tries} runs");
        if (file is not null)
        {
            NamedFile.Write(file, smallest.Write());
        }
        else
        {
            output.Write(smallest.Write());
        }

        return ExitCodes.Violation;
    }

    public static int Corpus(string folder, TextWriter output)
    {
        if (!Directory.Exists(folder))
        {
            throw new PlanException($"There is no folder {folder}. Run this in the project's root, or give --folder.");
        }

        int worst = ExitCodes.Ok;
        foreach (string file in Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal))
        {
            RunOutcome run = Runner.Run(NamedFile.ReadPlan(file));
            output.WriteLine($"{(run.IsClean ? "ok  " : "FAIL")}  {Path.GetFileName(file)}");
            worst = Math.Max(worst, run.IsClean ? ExitCodes.Ok : Tell(run, output));
        }

        return worst;
    }

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
