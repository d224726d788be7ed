using System.Diagnostics;
using System.Globalization;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.Report;

namespace LicenseAgent.Sim.Campaign;

/// <summary>The exit codes of the simulator.</summary>
internal static class ExitCodes
{
    public const int Ok = 0, Violation = 1, NotDeterministic = 2, HarnessError = 3, NeverHappened = 4, Usage = 64;
}

/// <summary>
/// Many seeds of one profile. Some run twice and must have the same trace (<see cref="Workers.IsTwice"/>); a difference
/// ends the campaign and is never tried again.
/// </summary>
/// <param name="report">
/// A folder for the campaign's page and one of each seed that breaks something, or is worth nothing; or none.
/// </param>
internal sealed class SeedCampaign(Profile profile, TextWriter output, string? report = null)
{
    private readonly Catalog _catalog = new(profile.Name);
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private double _agentHours;
    private long _steps;

    /// <summary>The seeds that broke something.</summary>
    public List<SeedResult> Found { get; } = [];

    /// <param name="jobs">Processes at a time.</param>
    /// <param name="brokenMax">Ends after so many seeds that break something.</param>
    public int Run(ulong from, int seeds, int jobs, int brokenMax)
    {
        output.WriteLine($"profile {profile.Name}, {seeds} seeds from {from}, {jobs} at a time");
        return Run(from, seeds, brokenMax, Workers.Judge(profile, from, seeds, jobs));
    }

    /// <param name="results">Of the seeds, as they come; no more are taken than needed.</param>
    public int Run(ulong from, int seeds, int brokenMax, IEnumerable<SeedResult> results)
    {
        if (report is not null)
        {
            NamedFile.MakeFolder(report);
        }

        int done = 0;
        foreach (SeedResult result in results)
        {
            done++;
            if (result.Trouble is { } trouble)
            {
                output.WriteLine(PlanLine.Of(PlanMaker.Make(result.Seed, profile)));
                output.WriteLine($"seed {result.Seed}: {trouble}\n{result.Repro(profile.Name)}");
                WriteReport(from, done, [.. Found, result]);
                return result.Code;
            }

            Note(result);
            if (done % Math.Max(1, seeds / 10) == 0)
            {
                output.WriteLine(Progress(done));
                output.Flush();
            }

            if (Found.Count >= brokenMax)
            {
                break;
            }
        }

        WriteReport(from, done, Found);
        return Finish(done);
    }

    private void WriteReport(ulong from, int seeds, IReadOnlyList<SeedResult> broken)
    {
        if (report is null)
        {
            return;
        }

        foreach (SeedResult seed in broken.Where(b => b.HasRun))
        {
            RunOutcome again = Runner.Run(PlanMaker.Make(seed.Seed, profile));
            NamedFile.Write(
                Path.Combine(report, CampaignPage.PageOf(seed.Seed)),
                RunPage.Write(again, seed.Repro(profile.Name), again.Escape is null ? seed.Trouble : null));
        }

        string page = Path.Combine(report, CampaignPage.Name);
        NamedFile.Write(page, CampaignPage.Write(new CampaignResult(
            profile.Name, from, seeds, _watch.Elapsed, _agentHours, _steps, broken, _catalog)));
        output.WriteLine(page);
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

    private void Note(SeedResult result)
    {
        _agentHours += result.AgentHours;
        _steps += result.Steps;
        _catalog.Note(result);
        if (result.Findings.Count > 0)
        {
            Found.Add(result);
            output.WriteLine(PlanLine.Of(PlanMaker.Make(result.Seed, profile)));
            foreach (Violation violation in result.Findings)
            {
                output.WriteLine(VirtualTime.Line(violation));
            }

            output.WriteLine(result.Repro(profile.Name));
            output.Flush();
        }
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

        output.WriteLine("judged: " + string.Join(
            ", ", AllCheckers.List.Where(c => _catalog.Judged(c.Id) > 0).Select(c => $"{c.Id} {_catalog.Judged(c.Id)}")));
        string[] never = [.. _catalog.Missing.Select(m => m.Id), .. _catalog.NeverJudged];
        if (never.Length > 0)
        {
            output.WriteLine($"never happened, or never judged: {string.Join(", ", never)}");
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
