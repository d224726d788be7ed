using System.Globalization;
using Serilog.Events;
using Serilog.Formatting;

namespace LicenseAgent.Daemon.Logging;

/// <summary>
/// Time, level, message for somebody who reads along. Control characters in a message are shown as <c>?</c>: a text
/// that came over the network must neither move the cursor nor look like a line of its own.
/// </summary>
internal sealed class TerminalLine : ITextFormatter
{
    public void Format(LogEvent logEvent, TextWriter output)
    {
        string time = logEvent.Timestamp.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);
        string message = LogText.Of(logEvent);
        output.WriteLine($"{time} {LevelOf(logEvent.Level)} {Shown(message)}");
        if (logEvent.Exception is { } exception)
            output.WriteLine(exception);
    }

    private static string Shown(string text) => string.Create(text.Length, text, static (shown, source) =>
    {
        for (int i = 0; i < shown.Length; i++)
            shown[i] = char.IsControl(source[i]) ? '?' : source[i];
    });

    private static string LevelOf(LogEventLevel level) => level switch
    {
        LogEventLevel.Fatal => "CRIT ",
        LogEventLevel.Error => "ERROR",
        LogEventLevel.Warning => "WARN ",
        LogEventLevel.Information => "INFO ",
        _ => "DEBUG",
    };
}
