using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LicenseAgent.PosLoad.Load;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.PosLoad.Till;

/// <summary>Where the load goes.</summary>
/// <param name="ProcessId">Watched when known.</param>
/// <param name="AnyAnswer">It is no agent: its answers are not looked at.</param>
internal sealed record LoadTarget(string Name, string Socket, int? ProcessId, bool AnyAnswer = false);

/// <summary>
/// One scenario against one target: starts the workers, each under its user, lets them begin together, collects their
/// seconds, watches the target, and has the events happen.
/// </summary>
internal sealed class LoadRun(Scenario scenario, TokenPool tokens, Action<LoadResult, LoadSecond> progress)
{
    /// <summary>The first of the users of a load with several; nobody on a usual system.</summary>
    public const uint FirstUser = 61_000;

    /// <summary>The user of the hostile clients.</summary>
    public const uint HostileUser = 61_900;

    private static readonly TimeSpan s_lead = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan s_after = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, (LoadSecond Sum, int Workers)> _open = [];

    /// <param name="act">Does an event to the till; <see langword="null"/> leaves events out.</param>
    public async Task<LoadResult> RunAsync(
        LoadTarget target, Func<string, CancellationToken, Task>? act, CancellationToken cancel)
    {
        LoadResult result = new(target.Name);
        string folder = Directory.CreateTempSubdirectory("posload-").FullName;
        List<ChildProcess> workers = [];
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        try
        {
            File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
            for (int i = 0; i < scenario.Users; i++)
            {
                uint? user = scenario.Users > 1 ? FirstUser + (uint)i : null;
                workers.Add(await StartAsync(WorkerRun.Command, PlanFile(folder, i, target), user, result));
            }

            foreach (ChildProcess worker in workers)
            {
                await worker.WaitForLineAsync(WorkerRun.Ready, cancel);
            }

            if (scenario.Hostile is not null && !target.AnyAnswer)
            {
                workers.Add(await StartAsync(HostileClients.Command, PlanFile(folder, 0, target), HostileUser, result));
            }

            long start = Stopwatch.GetTimestamp() + (long)(s_lead.TotalSeconds * Stopwatch.Frequency);
            Go(folder, start);
            Task watching = RunWatch.SampleAsync(() => target.ProcessId, result, start, over.Token);
            Task acting = act is null
                ? Task.CompletedTask
                : RunWatch.ActAsync(scenario, result, start, act, over.Token);
            await FinishAsync(workers.Take(scenario.Users), cancel);
            await acting;
            await over.CancelAsync();
            await watching;
            return result;
        }
        finally
        {
            await over.CancelAsync();
            foreach (ChildProcess worker in workers)
            {
                await worker.DisposeAsync();
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private string PlanFile(string folder, int worker, LoadTarget target)
    {
        string file = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"worker-{worker}.json"));
        WorkerPlan plan = new(target.Socket, scenario, tokens, worker, scenario.Users, target.AnyAnswer);
        File.WriteAllBytes(file, JsonSerializer.SerializeToUtf8Bytes(plan, WorkerJsonContext.Default.WorkerPlan));
        return file;
    }

    private async Task<ChildProcess> StartAsync(string command, string plan, uint? user, LoadResult result)
    {
        string program = ChildProcess.PathOf("license-agent-posload");
        string id = string.Create(CultureInfo.InvariantCulture, $"{user}");
        string[] own = [command, plan];
        return user is null
            ? await ChildProcess.StartAsync(program, own, heard: line => Hear(line, result))
            : await ChildProcess.StartAsync(
                "setpriv", ["--reuid", id, "--regid", id, "--clear-groups", "--", program, .. own],
                heard: line => Hear(line, result));
    }

    private void Go(string folder, long start)
    {
        for (int i = 0; i < scenario.Users; i++)
        {
            string plan = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"worker-{i}.json"));
            File.WriteAllText(plan + ".new", start.ToString(CultureInfo.InvariantCulture));
            File.Move(plan + ".new", plan + WorkerRun.GoFile);
        }
    }

    private async Task FinishAsync(IEnumerable<ChildProcess> workers, CancellationToken cancel)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(scenario.Seconds) + s_after);
        foreach (ChildProcess worker in workers)
        {
            int code = await worker.ExitCodeAsync(limit.Token);
            if (code != 0)
            {
                throw new ScenarioException($"A worker ended with {code}:\n{worker.Said}");
            }
        }
    }

    private void Hear(string line, LoadResult result)
    {
        if (!line.StartsWith('{'))
        {
            return;
        }

        WorkerSecond said = JsonSerializer.Deserialize(line, WorkerJsonContext.Default.WorkerSecond)!;
        lock (_gate)
        {
            (LoadSecond sum, int workers) = _open.TryGetValue(said.Second, out (LoadSecond, int) known)
                ? known : (new LoadSecond(said.Second), 0);
            sum.Due += said.Due;
            sum.Expected += said.Expected;
            sum.Wrong += said.Wrong;
            sum.Refused += said.Refused;
            sum.Broken += said.Broken;
            sum.Latency.Add(LatencyHistogram.FromSparse(said.Latency));
            sum.Lag.Add(LatencyHistogram.FromSparse(said.Lag));
            sum.Reasons.Add(said.Troubles);
            if (workers + 1 < scenario.Users)
            {
                _open[said.Second] = (sum, workers + 1);
                return;
            }

            _open.Remove(said.Second);
            result.Seconds.Add(sum);
            progress(result, sum);
        }
    }
}
