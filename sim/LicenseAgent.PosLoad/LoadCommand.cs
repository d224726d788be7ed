using System.Globalization;
using LicenseAgent.PosLoad.Fleet;
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
/// <param name="ServerFigures">In place of a scenario: the table of the license server's figures.</param>
internal sealed record LoadOrder(
    string? ScenarioFile, string? Socket, string? TokenFile, string OutFolder, bool ServerFigures = false);

/// <summary>Runs a scenario and writes its reports.</summary>
internal sealed class LoadCommand(LoadOrder order)
{
    public const int ExitMet = 0, ExitNotMet = 1, ExitUsage = 2, ExitVoid = 3, ExitBroken = 5;

    // The body of a validation's answer; what the empty handler writes.
    private const int AnswerBytes = 1024;

    public async Task<int> RunAsync(CancellationToken cancel)
    {
        if (order.ServerFigures == order.ScenarioFile is not null)
        {
            throw new ScenarioException("Give --scenario FILE, or --server-figures alone.");
        }

        if (order.ScenarioFile is not { } file)
        {
            return await new ServerFigures(cancel).RunAsync();
        }

        Scenario scenario = ScenarioFile.Read(file);
        if (scenario.Users > 1 && !Environment.IsPrivilegedProcess)
        {
            throw new ScenarioException("Several users need root: run it with sudo, or set users to 1.");
        }

        if (scenario.Target == Targets.Server)
        {
            return await FleetCommand.RunAsync(scenario, order, cancel);
        }

        return order.Socket is { } socket
            ? await GivenAsync(scenario, socket, cancel)
            : await OwnAsync(scenario, cancel);
    }

    private async Task<int> OwnAsync(Scenario scenario, CancellationToken cancel)
    {
        Say("Starting a TPM emulator, a license server and an agent; enrolling; minting tokens ...");
        await using OwnTill own = await OwnTill.OpenAsync(scenario, cancel);
        LoadRun run = new(scenario, own.Tokens, ReportFiles.Progress);
        int? loaded = await own.Till.LoadedInTpmAsync(cancel);
        LoadResult result = await run.RunAsync(
            new LoadTarget("agent", own.Till.PosSocket, own.Till.AgentId), own.ActAsync, cancel);
        result.TpmLeft = await own.Till.LoadedInTpmAsync(cancel) - loaded;
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

        LoadResult result = await new LoadRun(scenario, pool, ReportFiles.Progress)
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

    private int Write(Scenario scenario, LoadResult result, LoadResult? baseline) =>
        new ReportFiles(order.OutFolder).Write(scenario, result, baseline);

    private static void Say(string what) => ReportFiles.Say(what);
}
