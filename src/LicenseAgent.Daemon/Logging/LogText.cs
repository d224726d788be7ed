using System.Globalization;
using Serilog.Events;
using Serilog.Formatting.Display;

namespace LicenseAgent.Daemon.Logging;

/// <summary>The message of an event with its details filled in, texts without quotes around them.</summary>
internal static class LogText
{
    private static readonly MessageTemplateTextFormatter Message = new("{Message:lj}", CultureInfo.InvariantCulture);

    public static string Of(LogEvent logEvent)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        Message.Format(logEvent, text);
        return text.ToString();
    }
}
