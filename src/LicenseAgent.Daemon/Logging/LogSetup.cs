using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Extensions.Logging;
using Serilog.Formatting;
using Serilog.Formatting.Display;
using Serilog.Formatting.Json;

namespace LicenseAgent.Daemon.Logging;

/// <summary>Where the operational log goes and what a line looks like there.</summary>
internal enum LogStyle
{
    /// <summary>Somebody reads along.</summary>
    Terminal,

    /// <summary>One JSON object a line.</summary>
    Json,

    /// <summary>The same behind <c>&lt;N&gt;</c>, which journald takes for the priority.</summary>
    Journal,
}

internal static class LogSetup
{
    /// <param name="journalStream">JOURNAL_STREAM, which systemd sets where stdout is the journal.</param>
    public static LogStyle StyleOf(string? journalStream, bool redirected) =>
        journalStream is { Length: > 0 } ? LogStyle.Journal : redirected ? LogStyle.Json : LogStyle.Terminal;

    public static SerilogLoggerFactory Create(LogStyle style)
    {
        ITextFormatter formatter = style == LogStyle.Terminal
            ? new MessageTemplateTextFormatter("{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj}{NewLine}{Exception}")
            : new JsonLine(style == LogStyle.Journal);
        Logger logger = new LoggerConfiguration()
            .MinimumLevel.Information()
            .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
            .WriteTo.Console(formatter)
            .CreateLogger();
        return new SerilogLoggerFactory(logger, dispose: true);
    }

    /// <summary>JSON behind the syslog priority of its level.</summary>
    private sealed class JsonLine(bool priority) : ITextFormatter
    {
        private readonly JsonFormatter _json = new(renderMessage: true);

        public void Format(LogEvent logEvent, TextWriter output)
        {
            if (priority)
            {
                output.Write('<');
                output.Write(PriorityOf(logEvent.Level));
                output.Write('>');
            }

            _json.Format(logEvent, output);
        }

        private static char PriorityOf(LogEventLevel level) => level switch
        {
            LogEventLevel.Fatal => '2',
            LogEventLevel.Error => '3',
            LogEventLevel.Warning => '4',
            LogEventLevel.Information => '6',
            _ => '7',
        };
    }
}
