using System.Diagnostics;
using System.Globalization;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Campaign;

/// <summary>The exit codes of the simulator.</summary>
internal static class ExitCodes
{
    public const int Ok = 0, Violation = 1, NotDeterministic = 2, HarnessError = 3, NeverHappened = 4, Usage = 64;
}

/// <summary>
/// Many seeds of one profile. Every twentieth runs twice and must have the same trace; a difference ends the campaign
/// and is never tried again.
/// </summary>
internal sealed class SeedCampaign(Profile profile, TextWriter output)
{
    private const int TwiceEvery = 20;
    private const int ViolationsMax = 5;

    private readonly Catalog _catalog = new(profile.Name);
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private double _agentHours;
    private long _steps;

    /// <summary>The seeds that broke something, with what.</summary>
    public List<(ulong Seed, Violation First)> Found { get; } = [];

    public int Run(ulong from, int seeds)
    {
        output.WriteLine($"profile {profile.Name}, {seeds} seeds from {from}");
        for (int i = 0; i < seeds && Found.Count < ViolationsMax; i++)
        {
            int code = One(unchecked(from + (ulong)i), i);
            if (code != ExitCodes.Ok)
            {
                return code;
            }

            if ((i + 1) % Math.Max(1, seeds / 10) == 0)
            {
                output.WriteLine(Progress(i + 1));
            }
        }

        return Finish(seeds);
    }

    /// <summary>A number, or a commit's name, whose beginning is the number.</summary>
    public static ulong SeedOf(string text)
    {
        if (text.Length == 40 && ulong.TryParse(
            text.AsSpan(0, 16), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong commit))
        {
            return commit;
        }

        return ulong.TryParse(text, CultureInfo.InvariantCulture, out ulong seed)
            ? seed
            : throw new PlanException($"\"{text}\" is no seed; give a number or a commit's 40 characters.");
    }

    public static string Repro(Plan plan) =>
        $"REPRO: dotnet run -c Release --project sim/LicenseAgent.Sim -- replay --seed {plan.Seed} --profile {plan.Profile}";

    private int One(ulong seed, int number)
    {
        Plan plan = PlanMaker.Make(seed, profile);
        RunOutcome run = Runner.Run(plan);
        if (run.Escape is { } escape)
        {
            output.WriteLine($"seed {seed}: {escape.Message}\n{Repro(plan)}\n{escape}");
            return escape is LeftTheLoopException ? ExitCodes.NotDeterministic : ExitCodes.HarnessError;
        }

        if (number % TwiceEvery == 0 && TraceHash.FirstDifference(run.Trace, Runner.Run(plan).Trace) is { } mark)
        {
            output.WriteLine($"seed {seed}: two runs differ within events {mark * TraceHash.MarkEvery} to "
                + $"{(mark + 1) * TraceHash.MarkEvery}\n{Repro(plan)}");
            return ExitCodes.NotDeterministic;
        }

        _agentHours += run.AgentHours;
        _steps += run.Steps;
        _catalog.Note(run);
        if (run.Violations.Count > 0)
        {
            Found.Add((seed, run.Violations[0]));
            foreach (Violation violation in run.Violations.DistinctBy(v => (v.Id, v.Node)).Take(4))
            {
                output.WriteLine(VirtualTime.Line(violation));
            }

            output.WriteLine(Repro(plan));
        }

        return ExitCodes.Ok;
    }

    private int Finish(int seeds)
    {
        output.WriteLine(Progress(seeds));
        if (Found.Count > 0)
        {
            output.WriteLine($"{Found.Count} seeds break something: {string.Join(", ", Found.Select(f => f.Seed))}");
            return ExitCodes.Violation;
        }

        foreach (MustHappen entry in _catalog.Wanted)
        {
            output.WriteLine($"  {entry.Id} {_catalog.Hits(entry.Id),6}  {entry.Claim}");
        }

        if (_catalog.Missing.Count > 0)
        {
            output.WriteLine($"never happened: {string.Join(", ", _catalog.Missing.Select(m => m.Id))}");
            return ExitCodes.NeverHappened;
        }

        output.WriteLine("clean");
        return ExitCodes.Ok;
    }

    private string Progress(int done)
    {
        double seconds = Math.Max(0.001, _watch.Elapsed.TotalSeconds);
        return string.Create(CultureInfo.InvariantCulture,
            $"{done,6} seeds  {done / seconds:f2} seeds/s  {_agentHours / 8_766 / seconds:f3} agent-years/s  "
            + $"{_steps / seconds / 1_000:f0} k steps/s  {Found.Count} broken");
    }
}

/// <summary>Virtual times and findings as people read them.</summary>
internal static class VirtualTime
{
    public static string Text(long us) => us == long.MaxValue
        ? "end"
        : string.Create(CultureInfo.InvariantCulture,
            $"{us / 86_400_000_000}d{us / 3_600_000_000 % 24:d2}:{us / 60_000_000 % 60:d2}:{us / 1_000_000 % 60:d2}.{us / 1_000 % 1_000:d3}");

    public static string Line(Violation violation) =>
        $"{violation.Id}  {Text(violation.AtUs)}  {violation.Node}  {violation.Message}";
}
