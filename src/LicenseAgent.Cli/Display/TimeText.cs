using System.Globalization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Cli.Display;

/// <summary>Times as people read them: how far away, and when exactly.</summary>
internal static class TimeText
{
    /// <summary><c>in 3 h 12 min (2026-11-03T12:00:00Z)</c>.</summary>
    public static string Both(UtcTime time, UtcTime now) => $"{Relative(time, now)} ({Absolute(time)})";

    /// <summary>To the second.</summary>
    public static string Absolute(UtcTime time) =>
        time.ToDateTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public static string Relative(UtcTime time, UtcTime now)
    {
        TimeSpan distance = time - now;
        string length = Length(distance.Duration());
        return length == "0 s" ? "now" : distance > TimeSpan.Zero ? $"in {length}" : $"{length} ago";
    }

    /// <summary>The two largest units.</summary>
    public static string Length(TimeSpan length) => length switch
    {
        { TotalDays: >= 1 } => Units(length.Days, "d", length.Hours, "h"),
        { TotalHours: >= 1 } => Units(length.Hours, "h", length.Minutes, "min"),
        { TotalMinutes: >= 1 } => Units(length.Minutes, "min", length.Seconds, "s"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{length.Seconds} s"),
    };

    private static string Units(int large, string largeUnit, int small, string smallUnit) => small == 0
        ? string.Create(CultureInfo.InvariantCulture, $"{large} {largeUnit}")
        : string.Create(CultureInfo.InvariantCulture, $"{large} {largeUnit} {small} {smallUnit}");
}
