using System.Diagnostics;
using System.Globalization;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Commands;

/// <summary>
/// Tests the tester: each patch of <c>sim/mutants</c> takes a protection out of a copy of the product; the simulator is
/// built on that copy, and must break an invariant within so many seeds of the profile the patch names. A mutant that
/// lives is a hole here.
/// </summary>
/// <param name="seeds">Within how many each has to be caught.</param>
/// <param name="only">Numbers of patches, also several with commas; none: all.</param>
/// <param name="sample">How many of all; 0: all.</param>
/// <param name="from">What the sample is drawn by.</param>
/// <param name="jobs">Processes.</param>
internal sealed class MutantRunner(
    int seeds, string[] only, int sample, ulong from, int jobs, TextWriter output)
{
    private const string Folder = "sim/mutants";
    private const string Hint = "profile: ";
    private const string Caught = "caught: ";

    // A mutant of a window of milliseconds is found where every call is walked, not by chance.
    private const string FailNthProfile = "failnth";

    // A mutant need not please the analyzers.
    private static readonly string[] BuildOf =
    [
        "build", "sim/LicenseAgent.Sim", "-c", "Release", "-v", "q", "--nologo", "-p:RunAnalyzers=false",
        "-p:TreatWarningsAsErrors=false",
    ];

    private static readonly TimeSpan StepTimeout = TimeSpan.FromMinutes(20);

    private readonly string _copy = Directory.CreateTempSubdirectory("lsa-mutants-").FullName;

    public int Run()
    {
        if (!Directory.Exists(Folder))
        {
            throw new PlanException($"There is no folder {Folder}. Run this in the project's root.");
        }

        List<ulong> needed = [];
        int alive = 0;
        try
        {
            // One copy for all of them: what a mutant leaves alone is compiled once.
            Require("git", ["worktree", "add", "--detach", "--force", _copy, "HEAD"], ".");
            foreach (string patch in Chosen())
            {
                string name = Path.GetFileNameWithoutExtension(patch);
                ulong? caught = Try(patch, out string by);
                output.WriteLine(caught is { } at ? $"{name}: caught by seed {at}, {by}" : $"{name}: ALIVE after {seeds} seeds");
                output.Flush();
                alive += caught is null ? 1 : 0;
                if (caught is { } number)
                {
                    needed.Add(number);
                }
            }
        }
        finally
        {
            Start("git", ["worktree", "remove", "--force", _copy], ".");
        }

        needed.Sort();
        output.WriteLine(needed.Count == 0
            ? $"{alive} alive"
            : $"{needed.Count} caught, {alive} alive, median of seeds needed {needed[needed.Count / 2]}");
        return alive == 0 ? ExitCodes.Ok : ExitCodes.Violation;
    }

    private IEnumerable<string> Chosen()
    {
        string[] all = [.. Directory.EnumerateFiles(Folder, "*.patch").Order(StringComparer.Ordinal)];
        string[] numbers = [.. only.SelectMany(o => o.Split(',', StringSplitOptions.RemoveEmptyEntries))];
        if (numbers.Length > 0)
        {
            return all.Where(p => numbers.Any(o => Path.GetFileName(p).StartsWith(o, StringComparison.Ordinal)));
        }

        if (sample == 0)
        {
            return all;
        }

        // Of those that were seen to be caught: a sample tells of what got worse.
        SimRandom chance = SimRandom.Of(from, "mutants", "sample");
        return all.Where(p => File.ReadLines(p).Take(2).Any(l => l.StartsWith(Caught, StringComparison.Ordinal)))
            .OrderBy(_ => chance.Next()).Take(sample).Order(StringComparer.Ordinal);
    }

    /// <returns>How many seeds it took.</returns>
    private ulong? Try(string patch, out string by)
    {
        string profile = File.ReadLines(patch).First() is { } first && first.StartsWith(Hint, StringComparison.Ordinal)
            ? first[Hint.Length..]
            : throw new PlanException($"{patch} does not begin with \"{Hint}…\".");
        try
        {
            Require("git", ["apply", Path.GetFullPath(patch)], _copy);
            Require("dotnet", BuildOf, _copy);
            string program = Path.Combine(_copy, "sim/LicenseAgent.Sim/bin/Release/net10.0/license-agent-sim");
            by = profile;
            if (profile == FailNthProfile)
            {
                (int walked, _) = Start(program, [FailNthProfile, "--scenario", "enrol", "--every", "3"], _copy);
                return walked == ExitCodes.Violation ? 1 : null;
            }

            (int code, string said) = Start(
                program,
                ["run", "--profile", profile, "--seeds", $"{seeds}", "--broken", "1", "--jobs", $"{jobs}"], _copy);
            return code switch
            {
                ExitCodes.Violation => FoundIn(said, ref by),
                ExitCodes.Ok or ExitCodes.NeverHappened => null,
                _ => throw new PlanException($"{patch}: its simulator ended with {code}, which says neither."),
            };
        }
        finally
        {
            Require("git", ["checkout", "--quiet", "--", "src"], _copy);
        }
    }

    /// <summary>Seeds are numbered from 1, so the one that broke is how many it took.</summary>
    private static ulong FoundIn(string said, ref string by)
    {
        string[] lines = said.Split('\n');
        int at = Array.FindIndex(lines, l => l.StartsWith(Repro.Begins, StringComparison.Ordinal));
        by = $"{lines[at - 1].Split(' ')[0]}, {by}";
        string[] words = lines[at].Split(' ');
        return ulong.Parse(words[Array.IndexOf(words, "--seed") + 1], CultureInfo.InvariantCulture);
    }

    private void Require(string program, string[] arguments, string folder)
    {
        (int code, string said) = Start(program, arguments, folder);
        if (code != 0)
        {
            output.WriteLine(said);
            throw new PlanException($"{program} {arguments[0]} failed with {code}.");
        }
    }

    private static (int Code, string Said) Start(string program, string[] arguments, string folder)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start) ?? throw new PlanException($"{program} does not start.");
        Task<string> said = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(StepTimeout))
        {
            process.Kill(entireProcessTree: true);
            throw new PlanException($"{program} {arguments[0]} takes longer than {StepTimeout.TotalMinutes} minutes.");
        }

        return (process.ExitCode, said.GetAwaiter().GetResult());
    }
}
