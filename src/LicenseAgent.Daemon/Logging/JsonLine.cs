using System.Globalization;
using System.Text.Json;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Json;

namespace LicenseAgent.Daemon.Logging;

/// <summary>
/// <c>{"time","level","id","event","message", details…, "exception"}</c> on one line: whatever a text contains, a
/// reader finds one event a line. <c>id</c> and <c>event</c> are absent from what a library logs without them.
/// </summary>
internal sealed class JsonLine(bool withPriority) : ITextFormatter
{
    private const string EventId = "EventId";

    private static readonly JsonValueFormatter Values = new();

    public void Format(LogEvent logEvent, TextWriter output)
    {
        if (withPriority)
            output.Write($"<{PriorityOf(logEvent.Level)}>");
        string time = logEvent.Timestamp.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
        output.Write($"{{\"time\":\"{time}\",\"level\":\"{LevelOf(logEvent.Level)}\"");
        if (logEvent.Properties.GetValueOrDefault(EventId) is StructureValue id)
            WriteIdentity(id, output);
        WriteMember("message", LogText.Of(logEvent), output);
        foreach (var (name, value) in logEvent.Properties.Where(property => property.Key != EventId))
        {
            output.Write($",\"{JsonNamingPolicy.SnakeCaseLower.ConvertName(name)}\":");
            Values.Format(value, output);
        }

        if (logEvent.Exception is { } exception)
            WriteMember("exception", exception.ToString(), output);
        output.Write("}\n");
    }

    private static void WriteIdentity(StructureValue id, TextWriter output)
    {
        foreach (var part in id.Properties)
        {
            output.Write(part.Name == "Id" ? ",\"id\":" : ",\"event\":");
            Values.Format(part.Value, output);
        }
    }

    private static void WriteMember(string name, string text, TextWriter output)
    {
        output.Write($",\"{name}\":");
        JsonValueFormatter.WriteQuotedJsonString(text, output);
    }

    // sd-daemon(3): the priorities of syslog.
    private static char PriorityOf(LogEventLevel level) => level switch
    {
        LogEventLevel.Fatal => '2',
        LogEventLevel.Error => '3',
        LogEventLevel.Warning => '4',
        LogEventLevel.Information => '6',
        _ => '7',
    };

    private static string LevelOf(LogEventLevel level) => level switch
    {
        LogEventLevel.Fatal => "critical",
        LogEventLevel.Error => "error",
        LogEventLevel.Warning => "warning",
        LogEventLevel.Information => "info",
        _ => "debug",
    };
}
