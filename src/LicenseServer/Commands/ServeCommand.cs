using System.CommandLine;
using LicenseServer.Http;
using Serilog;
using Serilog.Extensions.Logging;

namespace LicenseServer.Commands;

/// <summary><c>serve</c>: runs until it is told to stop.</summary>
internal static class ServeCommand
{
    private const string LogTemplate =
        "{Timestamp:yyyy-MM-ddTHH:mm:ss.fff}Z {Level:u3} {Message:lj}{NewLine}{Exception}";

    public static Command Create(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var command = new Command("serve", "Run the server until SIGTERM or SIGINT");
        command.SetAction((parsed, _) => ServeAsync(context, options(parsed)));
        return command;
    }

    private static async Task<int> ServeAsync(CommandContext context, ServerOptions options)
    {
        using var log = new LoggerConfiguration()
            .MinimumLevel.Information()
            .MinimumLevel.Override("Microsoft", Serilog.Events.LogEventLevel.Warning)
            .WriteTo.Console(outputTemplate: LogTemplate, standardErrorFromLevel: Serilog.Events.LogEventLevel.Verbose,
                formatProvider: System.Globalization.CultureInfo.InvariantCulture)
            .CreateLogger();
        using var loggers = new SerilogLoggerFactory(log);
        await using (var app = await context.Open(options, loggers))
        {
            await app.StartAsync(context.Stop);
            // The one line on standard output: whoever started the server waits for it.
            await context.Output.WriteLineAsync($"ready agents={app.AgentUrl} management={app.ManagementUrl}");
            await context.Output.FlushAsync(CancellationToken.None);
            await UntilStopped(context.Stop);
        }

        log.Information("Stopped");
        return CommandLine.Ok;
    }

    private static async Task UntilStopped(CancellationToken stop)
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = stop.Register(stopped.SetResult);
        await stopped.Task;
    }
}
