using System.Diagnostics;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Commands;

/// <summary>
/// Tests the tester: each patch of <c>sim/mutants</c> takes a protection out of a copy of the product; the simulator is
/// built on that copy, and must break an invariant within so many seeds. A mutant that lives is a hole here.
/// </summary>
internal static class MutantRunner
{
    // A mutant need not please the analyzers.
    private static readonly string[] BuildOf =
    [
        "build", "sim/LicenseAgent.Sim", "-c", "Release", "-v", "q", "--nologo", "-p:RunAnalyzers=false",
        "-p:TreatWarningsAsErrors=false",
    ];

    private static readonly TimeSpan StepTimeout = TimeSpan.FromMinutes(10);

    public static int Run(Options options, TextWriter output)
    {
        int seeds = options.Number("seeds", 200);
        string only = options.Text("only", "");
        List<int> needed = [];
        int alive = 0;
        foreach (string patch in Directory.EnumerateFiles("sim/mutants", "*.patch").Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileNameWithoutExtension(patch);
            if (only.Length > 0 && !name.StartsWith(only, StringComparison.Ordinal))
            {
                continue;
            }

            int? caught = Try(patch, seeds, output);
            output.WriteLine(caught is { } at ? $"{name}: caught by seed {at}" : $"{name}: ALIVE after {seeds} seeds");
            alive += caught is null ? 1 : 0;
            if (caught is { } number)
            {
                needed.Add(number);
            }
        }

        needed.Sort();
        output.WriteLine(needed.Count == 0
            ? $"{alive} alive"
            : $"{needed.Count} caught, {alive} alive, median of seeds needed {needed[needed.Count / 2]}");
        return alive == 0 ? ExitCodes.Ok : ExitCodes.Violation;
    }

    /// <returns>How many seeds it took.</returns>
    private static int? Try(string patch, int seeds, TextWriter output)
    {
        string copy = Directory.CreateTempSubdirectory("lsa-mutant-").FullName;
        try
        {
            Require("git", ["worktree", "add", "--detach", "--force", copy, "HEAD"], ".", output);
            Require("git", ["apply", Path.GetFullPath(patch)], copy, output);
            Require("dotnet", [.. BuildOf], copy, output);
            string program = Path.Combine(copy, "sim/LicenseAgent.Sim/bin/Release/net10.0/license-agent-sim");
            for (int seed = 1; seed <= seeds; seed += 10)
            {
                foreach (string profile in (string[])["lite", "swarm"])
                {
                    (int code, _) = Start(
                        program, ["run", "--profile", profile, "--from", $"{seed}", "--seeds", "10"], copy);
                    if (code == ExitCodes.Violation)
                    {
                        return seed + 9;
                    }
                }
            }

            return null;
        }
        finally
        {
            Start("git", ["worktree", "remove", "--force", copy], ".");
        }
    }

    private static void Require(string program, IReadOnlyList<string> arguments, string folder, TextWriter output)
    {
        (int code, string said) = Start(program, arguments, folder);
        if (code != 0)
        {
            output.WriteLine(said);
            throw new PlanException($"{program} {arguments[0]} failed with {code}.");
        }
    }

    private static (int Code, string Said) Start(string program, IReadOnlyList<string> arguments, string folder)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start) ?? throw new PlanException($"{program} does not start.");
        string said = process.StandardOutput.ReadToEnd();
        if (!process.WaitForExit(StepTimeout))
        {
            process.Kill(entireProcessTree: true);
            throw new PlanException($"{program} {arguments[0]} takes longer than {StepTimeout.TotalMinutes} minutes.");
        }

        return (process.ExitCode, said);
    }
}
