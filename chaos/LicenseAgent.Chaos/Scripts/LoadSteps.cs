using System.Diagnostics;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>
/// An experiment that is a run of the load generator: <c>load FILE</c> names a scenario of it beside the steps. Its
/// answers are what must hold; on a machine too busy to judge times they are judged all the same.
/// </summary>
internal sealed class LoadSteps(Experiment experiment, Action<string> say)
{
    private const int ExitMet = 0, ExitVoid = 3, LinesKept = 6;

    public async Task<ScriptOutcome> RunAsync(CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        DirectoryInfo reports = Directory.CreateTempSubdirectory("lsa-load-");
        try
        {
            string scenario = Path.Combine(experiment.Folder, experiment.Steps.First(s => s.Verb == "load").Word(0));
            await using ChildProcess load = await ChildProcess.StartAsync(
                ChildProcess.PathOf("license-agent-posload"), ["--scenario", scenario, "--out", reports.FullName],
                heard: say);
            int code = await load.ExitCodeAsync(cancel);
            string broken = code is ExitMet or ExitVoid
                ? ""
                : $"The load generator ended with {code}: "
                    + string.Join("; ", load.Said.TrimEnd().Split('\n').TakeLast(LinesKept));
            return new ScriptOutcome(experiment, broken, Stopwatch.GetElapsedTime(start), [], []);
        }
        finally
        {
            reports.Delete(recursive: true);
        }
    }
}
