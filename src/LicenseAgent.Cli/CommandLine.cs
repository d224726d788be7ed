using System.CommandLine;
using LicenseAgent.Cli.Commands;
using LicenseAgent.Client;

namespace LicenseAgent.Cli;

/// <summary>The commands, and what their ends mean as exit codes.</summary>
internal static class CommandLine
{
    private const string Name = "license-agent-cli";

    private const string Description =
        """
        Look at and operate the License Secret Agent of this machine.

        Exit codes: 0 ok, 1 the answer is no (an invalid license, findings, a refusal), 2 usage,
        3 agent unreachable or busy, 4 not permitted, 5 internal error.
        """;

    /// <summary>The task root: every failure ends here, classified, told once.</summary>
    public static async Task<int> RunAsync(string[] args, CliContext context)
    {
        try
        {
            return await RunParsedAsync(args, context);
        }
        catch (UsageException e)
        {
            return Tell(context, e.Message, ExitCodes.Usage);
        }
        catch (AgentException e)
        {
            string who = e is { Fault: AgentFault.NotPermitted, Problem: null or { Status: 403 } } ? OwnUser() : "";
            return Tell(context, e.Message + who, ExitCodes.Of(e.Fault));
        }
        catch (OperationCanceledException) when (context.Stop.IsCancellationRequested)
        {
            return Tell(context, "Interrupted. What the agent has begun goes on.", ExitCodes.Interrupted);
        }
        catch (UnauthorizedAccessException e)
        {
            return Tell(context, $"{e.Message} Run this as a user who may.", ExitCodes.NotPermitted);
        }
        catch (IOException e)
        {
            return Tell(context, e.Message, ExitCodes.Internal);
        }
        catch (Exception e)
        {
            return Tell(context, $"This is a fault of {Name}: {e}", ExitCodes.Internal);
        }
    }

    private static async Task<int> RunParsedAsync(string[] args, CliContext context)
    {
        var globals = new GlobalOptions();
        ParseResult parsed = Commands(globals, context).Parse(args);
        if (parsed.Errors.Count > 0)
            return TellUsage(parsed, context);
        var configuration = new InvocationConfiguration
        {
            Output = context.Screen.Writer,
            Error = context.Screen.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        };
        try
        {
            return await parsed.InvokeAsync(configuration, context.Stop);
        }
        catch (AgentException e) when (parsed.GetValue(globals.Json))
        {
            // A program reads the refusal; the message is for whoever reads the program's log.
            context.Screen.Answer(e.Utf8);
            throw;
        }
    }

    private static RootCommand Commands(GlobalOptions globals, CliContext context)
    {
        var calls = new AgentCalls(context, globals);
        return new RootCommand(Description)
        {
            globals.Socket, globals.Json, globals.AuthCert, globals.AuthKey,
            StatusCommand.Create(calls), EnrollCommand.Create(calls), SecretCommands.Secrets(calls),
            SecretCommands.Rotate(calls), SecretCommands.Invalidate(calls), ConductCommands.Degraded(calls),
            ConductCommands.Reload(calls), AuditCommands.Create(calls),
            TpmCommand.Create(calls), ClockCommand.Create(calls), MetricsCommand.Create(calls),
            LicenseCommand.Create(calls), HealthCommand.Create(calls), DoctorCommand.Create(calls, globals.Socket),
            VersionCommand.Create(calls),
        };
    }

    // The library would print the whole help behind each error, and exit with 1.
    private static int TellUsage(ParseResult parsed, CliContext context)
    {
        // The first word that is none of ours is the error; what stands behind it, or is missing, follows from it.
        IEnumerable<string> messages = parsed.UnmatchedTokens.Count > 0
            ? [$"There is no '{parsed.UnmatchedTokens[0]}' here."]
            : parsed.Errors.Select(error => error.Message).Distinct();
        foreach (string message in messages)
            context.Screen.Error.WriteLine($"{Name}: {message}");
        context.Screen.Error.WriteLine($"See {Path(parsed.CommandResult)} --help");
        return ExitCodes.Usage;
    }

    private static string Path(System.CommandLine.Parsing.CommandResult command) =>
        command.Parent is System.CommandLine.Parsing.CommandResult parent
            ? $"{Path(parent)} {command.Command.Name}"
            : Name;

    /// <summary>What is to be listed; the kernel shows the agent the effective UID.</summary>
    private static string OwnUser()
    {
        string? line = File.ReadLines("/proc/self/status")
            .FirstOrDefault(line => line.StartsWith("Uid:", StringComparison.Ordinal));
        return line?.Split('\t') is [_, _, var effective, ..] ? $" The UID here is {effective}." : "";
    }

    private static int Tell(CliContext context, string message, int exit)
    {
        context.Screen.Error.WriteLine($"{Name}: {message}");
        return exit;
    }
}
