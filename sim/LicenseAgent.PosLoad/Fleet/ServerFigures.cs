using System.Globalization;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Report;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>
/// The figures a license server has to reach, measured beside wanted: the shipped scenarios of rotations, check-ins and
/// connections on one stage, then the first two again with ten times as many agents in the database.
/// </summary>
internal sealed class ServerFigures(CancellationToken cancel)
{
    private const int LargeFleet = 100_000;
    private const double LargeShare = 0.90;

    private const string Note = """
        These figures hold on an otherwise idle machine only: the server, the software agents and whatever else runs share
        its cores. Signatures, certificates and mutual TLS are real on both sides; decryption keys are shared by agents.
        SQLite alone was measured: this license server has no PostgreSQL yet, so its >= 300 rotations a second are open.
        What a kill -9 costs is a matter of chaos/run, not of this table.
        """;

    private readonly List<Finding> _figures = [];

    public async Task<int> RunAsync()
    {
        Scenario rotations = Shipped("server-rotations"), checkIns = Shipped("server-steady"),
            connections = Shipped("server-connections");

        // One stage for all: as many agents as the largest wants, and intervals that are never waited for.
        Scenario all = checkIns with { Intervals = rotations.Intervals };
        await using FleetStage stage = await FleetStage.OpenAsync(all, ReportFiles.Say, cancel);
        LoadResult rotated = await LoadAsync("Rotations ...", rotations, stage);
        AtLeast("rotations, SQLite", rotated.PerSecond, rotations.Limits.PerSecond!.Value, "/s");
        P99("  p99 at half of that", rotated, rotations);
        Show("rotations, PostgreSQL", "not measured", ">= 300 /s");
        LoadResult checkedIn = await LoadAsync("Check-ins ...", checkIns, stage);
        AtLeast("check-ins, SQLite", checkedIn.PerSecond, checkIns.Limits.PerSecond!.Value, "/s");
        P99("  p99 at half of that", checkedIn, checkIns);
        AtMost("memory at 1 000 connections", checkedIn.Samples.Max(s => s.ResidentMib), checkIns.Limits.MemoryMib!.Value, "MiB");
        ReportFiles.Say("Connections ...");
        (LoadResult connected, LoadResult? bare) = await FleetCommand.LoadAsync(connections, stage, cancel);
        AtLeast("new mTLS connections", connected.PerSecond, null, "/s");
        AtLeast("  bare Kestrel handler", bare!.PerSecond, null, "/s");
        AtLeast("  share of it", connected.PerSecond / bare.PerSecond, connections.Limits.BaselineShare!.Value, "");

        ReportFiles.Say("Adding agents to the database ...");
        await stage.AddPassiveAsync(LargeFleet - all.Fleet!.Agents, cancel);
        LoadResult manyRotated = await LoadAsync("Rotations, 100 000 agents ...", rotations, stage);
        AtLeast("rotations, 100 000 / 10 000 agents", manyRotated.PerSecond / rotated.PerSecond, LargeShare, "");
        LoadResult manyCheckedIn = await LoadAsync("Check-ins, 100 000 agents ...", checkIns, stage);
        AtLeast("check-ins, 100 000 / 10 000 agents", manyCheckedIn.PerSecond / checkedIn.PerSecond, LargeShare, "");
        long failed = ((LoadResult[])[rotated, checkedIn, connected, manyRotated, manyCheckedIn]).Sum(r => r.Failed);
        AtMost("requests that failed", failed, 0, "");
        ReportFiles.Print(_figures);
        Console.WriteLine(Note);
        return _figures.All(f => f.Met != false) ? LoadCommand.ExitMet : LoadCommand.ExitNotMet;
    }

    private static Scenario Shipped(string name) =>
        ScenarioFile.Read(Path.Combine(AppContext.BaseDirectory, "scenarios", name + ".json"));

    private async Task<LoadResult> LoadAsync(string what, Scenario scenario, FleetStage stage)
    {
        ReportFiles.Say(what);
        return (await FleetCommand.LoadAsync(scenario, stage, cancel)).Result;
    }

    private void P99(string name, LoadResult result, Scenario scenario)
    {
        if (result.IsVoid)
        {
            Show(name, "void: the generator was late itself", "<= " + Text(scenario.Limits.P99Ms!.Value, "ms"));
            return;
        }

        AtMost(name, result.Latency.Quantile(0.99) / 1000.0, scenario.Limits.P99Ms!.Value, "ms");
    }

    private void Show(string name, string measured, string wanted) =>
        _figures.Add(new Finding(name, measured, wanted, null));

    private void AtMost(string name, double value, double limit, string unit) => _figures.Add(
        new Finding(name, Text(value, unit), "<= " + Text(limit, unit), value <= limit));

    private void AtLeast(string name, double value, double? limit, string unit) => _figures.Add(limit is { } wanted
        ? new Finding(name, Text(value, unit), ">= " + Text(wanted, unit), value >= wanted)
        : new Finding(name, Text(value, unit), "", null));

    private static string Text(double value, string unit) =>
        (value.ToString(value < 10 ? "0.00" : "N0", CultureInfo.InvariantCulture) + " " + unit).TrimEnd();
}
