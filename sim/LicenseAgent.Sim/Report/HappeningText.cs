using System.Globalization;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Report;

/// <summary>
/// A happening as a line: its record's text without what the line shows already, and times as people read them.
/// </summary>
internal static class HappeningText
{
    public static string Of(Happening h) => $"{h.Node,-9} {Named(h)}";

    /// <summary>Without the node.</summary>
    public static string Named(Happening h)
    {
        string text = h.ToString();
        int members = text.IndexOf('{', StringComparison.Ordinal);
        string name = text[..(members - 1)];
        IEnumerable<string> parts = text[(members + 2)..^2].Split(", ").Select(part => Member(h, part));
        return $"{name,-14} {string.Join("  ", parts.Where(p => p.Length > 0))}";
    }

    /// <summary>A stretch of time with its sign, in the unit that suits it.</summary>
    public static string Off(long ms) => Math.Abs(ms) switch
    {
        < 120_000 => string.Create(CultureInfo.InvariantCulture, $"{ms / 1_000.0:+0.###;-0.###;0} s"),
        < 7_200_000 => string.Create(CultureInfo.InvariantCulture, $"{ms / 60_000.0:+0.#;-0.#} min"),
        < 172_800_000 => string.Create(CultureInfo.InvariantCulture, $"{ms / 3_600_000.0:+0.#;-0.#} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{ms / 86_400_000.0:+0.#;-0.#} d"),
    };

    private static string Member(Happening h, string part)
    {
        int at = part.IndexOf(" = ", StringComparison.Ordinal);
        if (at < 0)
        {
            // The rest of a text with a comma in it, or a member without a value.
            return part.EndsWith(" =", StringComparison.Ordinal) ? "" : part;
        }

        (string name, string value) = (part[..at], part[(at + 3)..]);
        return name switch
        {
            "AtUs" or "Node" => "",
            _ when value.Length == 0 => "",

            // The clock is right, or not there yet.
            "WallOffMs" or "TrustedMs" when value == "0" => "",

            // As it should be.
            "Status" when value == "200" => "",
            "AuditedFirst" when value == "True" => "",

            // Of clocks what counts is how far they are from the truth.
            "TrustedMs" or "LastContactMs" or "ContactBeforeMs" or "ContactAfterMs" =>
                $"{name[..^2]}={Off(Number(value) - SimServer.At(h.AtUs).UnixMs)}",
            "WallOffMs" => $"WallOff={Off(Number(value))}",
            "ArrivedUs" => $"Arrived={VirtualTime.Text(Number(value))}",
            _ => $"{name}={value}",
        };
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
