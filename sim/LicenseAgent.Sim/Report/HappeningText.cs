using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Report;

/// <summary>A happening as a line: its record's text without what the line shows already.</summary>
internal static class HappeningText
{
    public static string Of(Happening h)
    {
        string text = h.ToString();
        int members = text.IndexOf('{', StringComparison.Ordinal);
        string name = text[..(members - 1)];
        string rest = text[(members + 2)..^2];
        string[] parts =
        [
            .. rest.Split(", ").Where(p => !p.StartsWith("AtUs =", StringComparison.Ordinal)
                && !p.StartsWith("Node =", StringComparison.Ordinal)),
        ];
        return $"{h.Node,-9} {name,-14} {string.Join("  ", parts.Select(p => p.Replace(" = ", "=", StringComparison.Ordinal)))}";
    }
}
