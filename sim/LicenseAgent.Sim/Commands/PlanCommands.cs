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
    private const int FindingsMax = 20;

    // With the run before it and the one after it a minute.
    private static readonly TimeSpan ShrinkBudget = TimeSpan.FromSeconds(50);

    /// <param name="twice">Runs it again and compares the traces.</param>
    public static int Replay(PlanSource source, bool twice, TextWriter output)
    {
        RunOutcome run = Begin(source, output);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{run.Steps} steps  {run.Trace.Events} events  hash {run.Trace.Value:x16}"));
        if (twice && TraceHash.FirstDifference(run.Trace, Runner.Run(source.Plan).Trace) is { } mark)
        {
            output.WriteLine($"{SeedResult.DifferenceAt(mark)}\n{source.Repro} --twice");
            return ExitCodes.NotDeterministic;
        }

        return Tell(run, source.Repro, output);
    }

    public static int Show(PlanSource source, TextWriter output)
    {
        output.Write(source.Plan.Write());
        return ExitCodes.Ok;
    }

    /// <summary>Everything observed, a line each, findings in their place.</summary>
    public static int Explain(PlanSource source, string? node, TextWriter output)
    {
        RunOutcome run = Begin(source, output);
        Queue<Violation> findings = new(run.Violations.OrderBy(v => v.AtUs));
        foreach (Happening h in run.History.Where(h => node is null || h.Node == node || h.Node.Length == 0))
        {
            while (findings.TryPeek(out Violation? next) && next.AtUs < h.AtUs)
            {
                output.WriteLine($"!!!!!! {VirtualTime.Line(findings.Dequeue())}");
            }

            output.WriteLine($"{VirtualTime.Text(h.AtUs),16}  {HappeningText.Of(h)}");
        }

        return Tell(run, source.Repro, output);
    }

    /// <summary>The run as an HTML page.</summary>
    public static int Report(PlanSource source, string? file, TextWriter output)
    {
        file ??= $"run-{source.Plan.Profile}-{source.Plan.Seed}.html";
        RunOutcome run = Begin(source, output);
        NamedFile.Write(file, RunPage.Write(run, source.Repro));
        output.WriteLine(file);
        return Tell(run, source.Repro, output);
    }

    public static int Shrink(PlanSource source, string? invariant, string? file, TextWriter output)
    {
        Plan plan = source.Plan;
        RunOutcome run = Begin(source, output);
        if (run.Escape is not null)
        {
            return Tell(run, source.Repro, output);
        }

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
            output.WriteLine(Repro.OfFile(file));
        }
        else
        {
            // What is on a screen only cannot be named; what it came from can.
            output.Write(smallest.Write());
            output.WriteLine(source.Repro);
        }

        return ExitCodes.Violation;
    }

    /// <param name="report">A folder for a page of each plan that breaks something; or none.</param>
    public static int Corpus(string folder, string? report, TextWriter output)
    {
        if (!Directory.Exists(folder))
        {
            throw new PlanException($"There is no folder {folder}. Run this in the project's root, or give --folder.");
        }

        FailurePages pages = new(report, output);
        pages.MakeFolder();
        int worst = ExitCodes.Ok;
        foreach (string file in Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal))
        {
            PlanSource source = PlanSource.OfFile(file);
            RunOutcome run = Runner.Run(source.Plan);
            output.WriteLine($"{(run.IsClean ? "ok  " : "FAIL")}  {Path.GetFileName(file)}");
            if (!run.IsClean)
            {
                output.WriteLine(PlanLine.Of(source.Plan));
                pages.Add($"corpus-{Path.GetFileNameWithoutExtension(file)}", run, source.Repro);
                worst = Math.Max(worst, Tell(run, source.Repro, output));
            }
        }

        return worst;
    }

    /// <summary>First the seed and all that was drawn with it, then the run.</summary>
    private static RunOutcome Begin(PlanSource source, TextWriter output)
    {
        output.WriteLine(PlanLine.Of(source.Plan));
        return Runner.Run(source.Plan);
    }

    /// <summary>What broke, or that nothing did; the line that shows it again comes last.</summary>
    internal static int Tell(RunOutcome run, string repro, TextWriter output)
    {
        if (run.IsClean)
        {
            output.WriteLine("clean");
            return run.Code;
        }

        if (run.Escape is { } escape)
        {
            output.WriteLine(escape.ToString());
        }
        else
        {
            foreach (Violation violation in run.Violations.Take(FindingsMax))
            {
                output.WriteLine(VirtualTime.Line(violation));
            }

            output.WriteLine($"{run.Violations.Count} {(run.Violations.Count == 1 ? "finding" : "findings")}");
        }

        output.WriteLine(repro);
        return run.Code;
    }
}
