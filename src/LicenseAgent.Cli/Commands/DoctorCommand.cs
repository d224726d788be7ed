using System.CommandLine;
using System.Text.Json;
using LicenseAgent.Cli.Display;
using LicenseAgent.Cli.Doctor;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Management;
using Spectre.Console;

namespace LicenseAgent.Cli.Commands;

/// <summary>Looks at everything that goes wrong on tills, and says what to do. Works without the agent too.</summary>
internal static class DoctorCommand
{
    private const string ProcessName = "license-agent";
    private static readonly string[] Heads = ["CHECK", "FACT"];

    public static Command Create(AgentCalls calls, Option<string> socket)
    {
        var state = new Option<string>("--state")
        {
            Description = "The agent's state directory",
            HelpName = "DIR",
            DefaultValueFactory = _ => "/var/lib/license-agent",
        };
        var logs = new Option<string>("--logs")
        {
            Description = "The agent's log directory",
            HelpName = "DIR",
            DefaultValueFactory = _ => "/var/log/license-agent",
        };
        var command = new Command("doctor", "Look for what is wrong and say what to do; exit code 1 with findings")
        {
            state, logs,
        };
        command.SetAction(async (parsed, cancel) =>
        {
            AgentPaths paths = new(
                parsed.GetValue(state)!, parsed.GetValue(logs)!,
                AgentCalls.RequireSocketPath(parsed.GetValue(socket)!, "--socket"));
            List<Check> checks = [.. await AskAsync(calls, parsed, cancel), .. MachineChecks.Of(paths)];
            if (Daemon() is { } pid)
                checks.AddRange(MachineChecks.OfProcess(Read($"/proc/{pid}/status"), Read($"/proc/{pid}/limits")));
            bool ok = checks.TrueForAll(check => check.Level == Level.Ok);
            if (calls.IsJson(parsed))
            {
                calls.Context.Screen.Answer(JsonSerializer.SerializeToUtf8Bytes(
                    new DoctorReport(ok, checks), DoctorJson.Default.DoctorReport));
            }
            else
            {
                Show(calls.Context.Screen, checks);
            }

            return ok ? ExitCodes.Ok : ExitCodes.No;
        });
        return command;
    }

    /// <summary>An agent that does not answer is a finding; one that turns this user away ends the command.</summary>
    private static async Task<IEnumerable<Check>> AskAsync(
        AgentCalls calls, ParseResult parsed, CancellationToken cancel)
    {
        try
        {
            using ManagementClient client = calls.Connect(parsed);
            StatusResponse status = (await client.StatusAsync(cancel)).Value;
            TpmResponse tpm = (await client.TpmAsync(cancel)).Value;
            string metrics = (await client.MetricsAsync(cancel)).Value;
            return AgentChecks.Of(status, tpm, metrics, calls.Context.WallClock);
        }
        catch (AgentException e) when (e.IsRetryable)
        {
            return [MachineChecks.Unreachable(e.Message)];
        }
    }

    private static void Show(Screen screen, List<Check> checks)
    {
        Check[] findings = [.. checks.Where(check => check.Level != Level.Ok).OrderByDescending(check => check.Level)];
        foreach (Check finding in findings)
        {
            bool isError = finding.Level == Level.Error;
            screen.Write(Blocks.Facts(
            [
                (isError ? "! error" : "! warning", Blocks.Text(finding.Id, isError ? Color.Red : Color.Yellow)),
                ("", Blocks.Text(finding.Fact)),
                ("  what to do", finding.Remedy is null ? null : Blocks.Text(finding.Remedy)),
            ]));
            screen.Line();
        }

        screen.Write(Blocks.Table(screen, Heads, checks.Where(check => check.Level == Level.Ok).Select(check => new[]
        {
            Blocks.Text(check.Id, Color.Green), Blocks.Text(check.Fact),
        })));
        screen.Line();
        screen.Line(findings.Length switch
        {
            0 => "Nothing is wrong.",
            1 => "1 finding.",
            _ => $"{findings.Length} findings.",
        });
    }

    private static int? Daemon()
    {
        foreach (string folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), out int pid) && Read($"{folder}/comm")?.Trim() == ProcessName)
                return pid;
        }

        return null;
    }

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process ended, or is not this user's to look at: then there is nothing to say of it.
            return null;
        }
    }
}
