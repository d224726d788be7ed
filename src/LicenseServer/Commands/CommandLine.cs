using System.CommandLine;
using LicensePki;
using LicenseServer.Agents;
using LicenseServer.Http;
using LicenseServer.Keys;
using LicenseServer.Storage;
using Microsoft.Extensions.Logging;

namespace LicenseServer.Commands;

/// <summary>What every verb is given.</summary>
internal sealed record CommandContext(
    TimeProvider Time, TextWriter Output, TextWriter Error, Func<string, string?> Environment, CancellationToken Stop)
{
    /// <summary>Opens the server of <c>serve</c>; a test bed puts something around it.</summary>
    public Func<ServerOptions, ILoggerFactory, Task<ServerApp>> Open { get; init; } =
        (options, loggers) => ServerApp.CreateAsync(options, Time, loggers: loggers);

    /// <summary>Who an operator's change is audited as.</summary>
    public string Actor => "operator:" + System.Environment.UserName;
}

/// <summary>
/// The verbs of <c>license-server</c>. Exit codes: 0 ok, 1 the answer is no, 2 usage or configuration, 3 unreachable,
/// 5 the work could not be done.
/// </summary>
internal static class CommandLine
{
    public const int Ok = 0;
    public const int No = 1;
    public const int Usage = 2;
    public const int Unreachable = 3;
    public const int Failed = 5;

    public static async Task<int> RunAsync(string[] args, CommandContext context)
    {
        var config = new Option<string?>("--config")
        {
            Description = "a settings file: lines of NAME=VALUE",
            Recursive = true,
        };
        var root = new RootCommand("The license server") { config };
        foreach (var setting in Settings.All)
        {
            root.Add(new Option<string?>(setting.Option)
            {
                Description = $"{setting.Description} [{setting.Variable}]",
                Recursive = true,
            });
        }

        Settings Given(ParseResult parsed) => Settings.Of(parsed, parsed.GetValue(config), context.Environment);
        ServerOptions Options(ParseResult parsed) => Given(parsed).ToOptions();
        root.Add(ServeCommand.Create(context, Options));
        root.Add(HealthcheckCommand.Create(context, parsed => Given(parsed).ToManagementListen()));
        root.Add(AgentCommands.Create(context, Options));
        root.Add(LicenseCommands.Create(context, Options));
        root.Add(KeyCommands.Create(context, Options));

        var parsed = root.Parse(args);
        return await InvokeAsync(parsed, context);
    }

    private static async Task<int> InvokeAsync(ParseResult parsed, CommandContext context)
    {
        var configuration = new InvocationConfiguration
        {
            Output = context.Output,
            Error = context.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        };
        try
        {
            var exit = await parsed.InvokeAsync(configuration, context.Stop);
            // The library answers usage errors with 1, which here means "no".
            return parsed.Errors.Count > 0 ? Usage : exit;
        }
        catch (SettingsException error)
        {
            context.Error.WriteLine(error.Message);
            return Usage;
        }
        catch (OrderRefusedException error)
        {
            context.Error.WriteLine("license-server: " + error.Message);
            return No;
        }
        catch (Exception error) when (error is StorageException or KeyFileException or PkiException or IOException
            or UnauthorizedAccessException or Microsoft.Data.Sqlite.SqliteException)
        {
            context.Error.WriteLine("license-server: " + error.Message);
            return Failed;
        }
    }
}
