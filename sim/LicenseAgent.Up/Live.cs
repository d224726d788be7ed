using System.Globalization;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using Spectre.Console;

namespace LicenseAgent.Up;

/// <summary>Everything running until Ctrl-C: a table on a terminal, a line a till every few seconds elsewhere.</summary>
internal sealed class Live(Screen screen, int agents, int rate, string? fault)
{
    private static readonly TimeSpan TableTurn = TimeSpan.FromMilliseconds(500), LineTurn = TimeSpan.FromSeconds(5);

    private readonly StageSettings _settings = new(
        new ServerSettings
        {
            RotationInterval = TimeSpan.FromSeconds(20),
            GracePeriod = TimeSpan.FromMinutes(4),
            CheckInInterval = TimeSpan.FromSeconds(5),
            WithFaults = Faults.IsOfServer(fault),
        },
        PosRate: Math.Max(200, rate * 4),
        WithTpmFaults: Faults.IsOfTpm(fault));

    private string _weather = "";

    public async Task<int> RunAsync(CancellationToken cancel)
    {
        screen.Line($"Starting a license server and {agents} till(s); secrets rotate every 20 s. Ctrl-C ends it.");
        await using Stage stage = await Stage.OpenAsync(_settings, cancel);
        for (int i = 0; i < agents; i++)
        {
            StageTill till = await stage.AddTillAsync(cancel);
            await stage.EnrollAsync(till, cancel);
            string said = await stage.Server.CommandAsync(cancel, "licenses", "issue", till.Name, "--product", "register");
            till.StartTraffic(said.Split('\n').First(l => l.StartsWith("eyJ", StringComparison.Ordinal)).Trim(), rate);
            screen.Line($"{till.Name} ({till.Shop}) is enrolled; admin socket {till.Folder.AdminSocket}");
            if (_settings.WithTpmFaults)
            {
                screen.Line($"{till.Name}: the bus to its TPM is told its faults on {till.BusFaults}");
            }
        }

        // Neither ends by itself: the first that does has failed, or Ctrl-C was pressed.
        List<Task> running = [screen.IsTerminal ? ShowTableAsync(stage, cancel) : ShowLinesAsync(stage, cancel)];
        if (fault is not null)
        {
            running.Add(Faults.RepeatAsync(fault, stage, now => _weather = now, cancel));
        }

        await await Task.WhenAny(running);
        return 0;
    }

    private Task ShowTableAsync(Stage stage, CancellationToken cancel) => AnsiConsole
        .Live(new Table())
        .StartAsync(async context =>
        {
            while (true)
            {
                context.UpdateTarget(await TableAsync(stage, cancel));
                await Task.Delay(TableTurn, cancel);
            }
        });

    private async Task ShowLinesAsync(Stage stage, CancellationToken cancel)
    {
        while (true)
        {
            foreach (StageTill till in stage.Tills)
            {
                screen.Line(string.Join("  ", await CellsAsync(till, cancel)));
            }

            await Task.Delay(LineTurn, cancel);
        }
    }

    private async Task<Table> TableAsync(Stage stage, CancellationToken cancel)
    {
        Table table = new() { Border = TableBorder.Rounded };
        foreach (string column in (string[])["till", "mode", "secrets", "TPM", "next rotation", "valid", "refused", "errors", "p50/p99 ms"])
        {
            table.AddColumn(column);
        }

        foreach (StageTill till in stage.Tills)
        {
            table.AddRow([.. (await CellsAsync(till, cancel)).Select(Markup.Escape)]);
        }

        table.Caption = new TableTitle(_weather.Length == 0 ? "Ctrl-C ends it" : $"fault: {_weather}; Ctrl-C ends it");
        return table;
    }

    private static async Task<string[]> CellsAsync(StageTill till, CancellationToken cancel)
    {
        TrafficCount count = till.Traffic!.Count();
        (double p50, double p99) = till.Traffic.Latency();
        string[] traffic =
        [
            Number(count.Valid), Number(count.Refused), Number(count.Errors),
            string.Create(CultureInfo.InvariantCulture, $"{p50:0.0}/{p99:0.0}"),
        ];
        try
        {
            StatusResponse status = await till.StatusAsync(cancel);
            string secrets = string.Join(
                ' ', status.GraceSecrets.Select(s => $"v{s.Version}").TakeLast(3).Append($"[v{status.ActiveSecret?.Version}]"));
            return
            [
                till.Name, status.Mode, secrets, status.TpmStatus.State, status.NextRotation?.ToString()[11..19] ?? "-", .. traffic,
            ];
        }
        catch (AgentException)
        {
            // Killed on purpose by a fault, or starting: the application's numbers tell the rest.
            return [till.Name, "away", "-", "-", "-", .. traffic];
        }
    }

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
