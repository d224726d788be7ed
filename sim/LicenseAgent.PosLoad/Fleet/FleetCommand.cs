using System.Globalization;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Report;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.Testbed.Baselines;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>Runs scenarios whose target is the license server.</summary>
internal static class FleetCommand
{
    // About what the status of a secret takes.
    private const int AnswerBytes = 700;

    public static async Task<int> RunAsync(Scenario scenario, LoadOrder order, CancellationToken cancel)
    {
        if (order.Socket is not null)
        {
            throw new ScenarioException("--socket is for the target agent: leave it out.");
        }

        ReportFiles.Say("Enrolling software agents at a license server of our own ...");
        await using FleetStage stage = await FleetStage.OpenAsync(scenario, ReportFiles.Say, cancel);
        (LoadResult result, LoadResult? baseline) = await LoadAsync(scenario, stage, cancel);
        return new ReportFiles(order.OutFolder).Write(scenario, result, baseline);
    }

    /// <summary>One scenario on a stage that may have been made for another one.</summary>
    public static async Task<(LoadResult Result, LoadResult? Baseline)> LoadAsync(
        Scenario scenario, FleetStage stage, CancellationToken cancel)
    {
        if (scenario.Fleet!.Action == FleetActions.Schedule)
        {
            return (await new ScheduleRun(scenario, stage, ReportFiles.Progress).RunAsync(cancel), null);
        }

        FleetAgent[] agents = [.. stage.Agents.Take(scenario.Fleet.Callers)];
        stage.Connect(keeps: scenario.Fleet.Action != FleetActions.Connect);
        PacedRun run = new(scenario, agents, ReportFiles.Progress);
        LoadResult result = await run.RunAsync("license server", isServer: true, () => stage.ServerId, cancel);
        return (result, scenario.Baseline ? await BareAsync(run, stage, cancel) : null);
    }

    private static async Task<LoadResult> BareAsync(PacedRun run, FleetStage stage, CancellationToken cancel)
    {
        ReportFiles.Say("The same against a bare Kestrel handler with mutual TLS ...");
        int port = LicenseServerProcess.FreePort();
        await using ChildProcess handler = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-agent-posload"),
            [
                BareMtls.Command, port.ToString(CultureInfo.InvariantCulture), stage.Place.Pki.ServerCertificate,
                stage.Place.Pki.ServerKey, stage.Place.Pki.AgentCaCertificate,
                AnswerBytes.ToString(CultureInfo.InvariantCulture),
            ]);
        await handler.WaitForLineAsync(BareMtls.Ready, cancel);
        stage.Connect(string.Create(CultureInfo.InvariantCulture, $"https://127.0.0.1:{port}"), keeps: false);
        return await run.RunAsync("bare Kestrel", isServer: false, () => handler.Id, cancel);
    }
}
