using System.Globalization;
using LicenseAgent.PosLoad.Load;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Report;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.PosLoad.Till;
using LicenseAgent.Testbed.Baselines;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.PosLoad;

/// <summary>What was asked for on the command line.</summary>
/// <param name="Socket">Of a running agent; <see langword="null"/>: a till of our own.</param>
/// <param name="TokenFile">One token a line, for a running agent.</param>
internal sealed record LoadOrder(string ScenarioFile, string? Socket, string? TokenFile, string OutFolder);

/// <summary>Runs a scenario and writes its reports.</summary>
internal sealed class LoadCommand(LoadOrder order)
{
    public const int ExitMet = 0, ExitNotMet = 1, ExitUsage = 2, ExitVoid = 3;

    // The body of a validation's answer; what the empty handler writes.
    private const int AnswerBytes = 1024;

    private const int LineEvery = 5;

    public async Task<int> RunAsync(CancellationToken cancel)
    {
        Scenario scenario = ScenarioFile.Read(order.ScenarioFile);
        if (scenario.Users > 1 && !Environment.IsPrivilegedProcess)
        {
            throw new ScenarioException("Several users need root: run it with sudo, or set users to 1.");
        }

        return order.Socket is { } socket
            ? await GivenAsync(scenario, socket, cancel)
            : await OwnAsync(scenario, cancel);
    }

    private async Task<int> OwnAsync(Scenario scenario, CancellationToken cancel)
    {
        Say("Starting a TPM emulator, a license server and an agent; enrolling; minting tokens ...");
        await using OwnTill own = await OwnTill.OpenAsync(scenario, cancel);
        LoadRun run = new(scenario, own.Tokens, Progress);
        LoadResult result = await run.RunAsync(
            new LoadTarget("agent", own.Till.PosSocket, own.Till.AgentId), own.ActAsync, cancel);
        LoadResult? baseline = scenario.Baseline ? await EmptyAsync(run, own, cancel) : null;
        return Write(scenario, result, baseline);
    }

    private async Task<int> GivenAsync(Scenario scenario, string socket, CancellationToken cancel)
    {
        if (scenario.Events.Count > 0 || scenario.Baseline || scenario.Mix is { Fresh: > 0 } or { Expired: > 0 })
        {
            throw new ScenarioException(
                "events, baseline, fresh and expired tokens need a till of our own: leave --socket out.");
        }

        string[] tokens = await File.ReadAllLinesAsync(
            order.TokenFile ?? throw new ScenarioException("--socket needs --tokens, a file with a token a line."), cancel);
        TokenPool pool = new([.. tokens.Where(t => t.Length > 0)], []);
        if (pool.Good.Count == 0)
        {
            throw new ScenarioException($"{order.TokenFile} holds no token.");
        }

        LoadResult result = await new LoadRun(scenario, pool, Progress)
            .RunAsync(new LoadTarget("agent", socket, null), act: null, cancel);
        return Write(scenario, result, baseline: null);
    }

    private static async Task<LoadResult> EmptyAsync(LoadRun run, OwnTill own, CancellationToken cancel)
    {
        Say("The same against an empty Kestrel handler ...");
        string socket = own.Till.EmptySocket;
        await using ChildProcess handler = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-agent-posload"),
            [EmptyHandler.Command, socket, AnswerBytes.ToString(CultureInfo.InvariantCulture)]);
        await handler.WaitForLineAsync(EmptyHandler.Ready, cancel);
        File.SetUnixFileMode(socket, (UnixFileMode)0b110_110_110);
        return await run.RunAsync(
            new LoadTarget("empty handler", socket, handler.Id, AnyAnswer: true), act: null, cancel);
    }

    private int Write(Scenario scenario, LoadResult result, LoadResult? baseline)
    {
        Verdict verdict = new(scenario, result, baseline);
        string machine = string.Create(CultureInfo.InvariantCulture,
            $"{Environment.ProcessorCount} cores shared by agent, generator and everything else; .NET {Environment.Version}; ")
            + DateTimeOffset.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
        Directory.CreateDirectory(order.OutFolder);
        string html = Path.Combine(order.OutFolder, scenario.Name + ".html");
        File.WriteAllText(html, HtmlReport.Page(scenario, verdict, result, baseline, machine));
        File.WriteAllBytes(
            Path.Combine(order.OutFolder, scenario.Name + ".json"),
            JsonReport.Bytes(scenario, verdict, result, baseline, machine));
        foreach (Finding f in verdict.Findings)
        {
            string met = f.Met switch { true => "yes", false => "no", null => "" };
            Console.WriteLine($"{f.Name,-34} {f.Measured,-28} {f.Wanted,-14} {met}".TrimEnd());
        }

        foreach (string trouble in result.Troubles)
        {
            Console.WriteLine($"  trouble: {trouble}");
        }

        Console.WriteLine($"{verdict.Text}. Report: {html}");
        return verdict.IsVoid ? ExitVoid : verdict.Failed ? ExitNotMet : ExitMet;
    }

    private static void Progress(LoadResult result, LoadSecond second)
    {
        if (second.Second % LineEvery == 0 || second.Failed > 0)
        {
            Say(string.Create(CultureInfo.InvariantCulture,
                $"{result.Target,-14} {second.Second,5} s  {second.Due,6} due  {second.Failed,4} failed  "
                + $"p50 {second.Latency.Quantile(0.5) / 1000.0:0.00}  p99 {second.Latency.Quantile(0.99) / 1000.0:0.00}  "
                + $"longest {second.Latency.Max / 1000.0:0.0} ms"));
        }
    }

    private static void Say(string what) => Console.Error.WriteLine(what);
}
