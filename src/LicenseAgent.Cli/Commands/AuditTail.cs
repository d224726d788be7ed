using System.CommandLine;
using System.Text;
using System.Text.Json;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Cli.Commands;

/// <summary>
/// <c>audit tail</c>. The agent records every call, so this one would see itself for ever: its own looking is left out.
/// </summary>
internal sealed class AuditTail(CliContext context, ManagementClient client, bool json)
{
    private const int LinesByDefault = 10;

    // The agent records the first look, and the further ones of a minute as one counted record.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private long last;

    public static Command Create(AgentCalls calls)
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with new records until Ctrl-C" };
        var lines = new Option<int>("--lines", "-n")
        {
            Description = $"How many records, at most {ManagementClient.AuditPageMax}",
            HelpName = "N",
            DefaultValueFactory = _ => LinesByDefault,
        };
        lines.Validators.Add(result => AuditCommands.Range(result, 1, ManagementClient.AuditPageMax, "--lines"));
        var command = new Command("tail", "The newest records; --json prints one a line") { follow, lines };
        command.SetAction(async (parsed, cancel) =>
        {
            using ManagementClient client = calls.Connect(parsed);
            var tail = new AuditTail(calls.Context, client, calls.IsJson(parsed));
            await tail.ShowLastAsync(parsed.GetValue(lines), cancel);
            if (parsed.GetValue(follow))
                await tail.FollowAsync(cancel);
            return ExitCodes.Ok;
        });
        return command;
    }

    private async Task ShowLastAsync(int lines, CancellationToken cancel)
    {
        // The number of the newest record is a metric, which may lag a little: pages are read to the end anyway.
        string metrics = (await client.MetricsAsync(cancel)).Value;
        double newest = Prometheus.Find(metrics, "license_agent_audit_seq") ?? 0;
        last = Math.Max(0, (long)newest - (2 * lines));
        var kept = new Queue<JsonElement>();
        await foreach (JsonElement record in NewAsync(cancel))
        {
            kept.Enqueue(record);
            if (kept.Count > lines)
                kept.Dequeue();
        }
        foreach (JsonElement record in kept)
            Show(record);
    }

    private async Task FollowAsync(CancellationToken cancel)
    {
        bool lost = false;
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(Interval, context.Time, cancel);
                await foreach (JsonElement record in NewAsync(cancel))
                    Show(record);
                lost = false;
            }
            catch (AgentException e) when (e.IsRetryable)
            {
                // Who follows a log wants to see the restart too: told once, tried until Ctrl-C.
                if (!lost)
                    context.Screen.Warn($"{e.Message} Trying on.");
                lost = true;
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async IAsyncEnumerable<JsonElement> NewAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        AuditPage page;
        do
        {
            page = (await client.AuditAsync(last, ManagementClient.AuditPageMax, cancel)).Value;
            foreach (JsonElement record in page.Records)
            {
                if (record.TryGetProperty("seq", out JsonElement seq) && seq.TryGetInt64(out long number))
                    last = Math.Max(last, number);
                if (!IsOwnLook(record))
                    yield return record;
            }
        }
        while (page.Next is not null && page.Records.Count > 0);
    }

    private static bool IsOwnLook(JsonElement record) =>
        record.TryGetProperty("actor", out JsonElement actor)
        && actor.TryGetProperty("pid", out JsonElement pid)
        && pid.ValueKind == JsonValueKind.Number && pid.TryGetInt64(out long id) && id == Environment.ProcessId
        && record.TryGetProperty("details", out JsonElement details)
        && details.TryGetProperty("path", out JsonElement path)
        && path.ValueKind == JsonValueKind.String
        && path.GetString() is ManagementPaths.Audit or ManagementPaths.Metrics;

    private void Show(JsonElement record)
    {
        if (json)
            context.Screen.Answer(Encoding.UTF8.GetBytes(record.GetRawText() + "\n"));
        else
            AuditRecordText.Show(context.Screen, record);
    }
}
