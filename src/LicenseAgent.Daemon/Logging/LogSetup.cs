using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Extensions.Logging;
using Serilog.Formatting;

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
        Logger logger = new LoggerConfiguration()
            .MinimumLevel.Information()
            .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
            .WriteTo.Console(FormatterOf(style))
            .CreateLogger();
        return new SerilogLoggerFactory(logger, dispose: true);
    }

    public static ITextFormatter FormatterOf(LogStyle style) => style switch
    {
        LogStyle.Terminal => new TerminalLine(),
        LogStyle.Json => new JsonLine(withPriority: false),
        _ => new JsonLine(withPriority: true),
    };
}
