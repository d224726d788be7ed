using Spectre.Console;

namespace LicenseAgent.Cli.Display;

/// <summary>Green is well, yellow wants attention, red refuses licenses. The words say so too.</summary>
internal static class Colors
{
    public static Color OfMode(string mode) => mode switch
    {
        "NORMAL" => Color.Green,
        "OFFLINE" or "DEGRADED" => Color.Yellow,
        _ => Color.Red,
    };

    public static Color OfHealth(string status) => status switch
    {
        "READY" => Color.Green,
        "DEGRADED" => Color.Yellow,
        _ => Color.Red,
    };

    public static Color? OfSecret(string state) => state switch
    {
        "ACTIVE" => Color.Green,
        "PENDING" => Color.Yellow,
        _ => null,
    };

    public static Color OfTpm(string state) => state == "ok" ? Color.Green : Color.Red;

    public static Color OfReason(string reason) => reason == "VALID" ? Color.Green : Color.Red;

    public static Color OfSeverity(string severity) => severity is "error" or "critical" ? Color.Red : Color.Yellow;
}
