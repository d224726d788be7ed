using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Commands;

internal static class StatusCommand
{
    private static readonly string[] LicenseHeads = ["LICENSE", "PRODUCT", "ANSWER", "EXPIRES", "LAST SEEN"];

    // Within this, clocks of one machine differ by rounding and by the time an answer takes.
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromSeconds(2);

    public static Command Create(AgentCalls calls) => calls.Bind(
        new Command("status", "Mode, secrets, TPM, licenses seen lately and alerts"),
        (client, _, cancel) => client.StatusAsync(cancel),
        (screen, status) => Show(screen, status, calls.Context.WallClock));

    /// <summary>Distances are from the agent's trusted now, which is what it acts by.</summary>
    private static void Show(Screen screen, StatusResponse status, UtcTime wallClock)
    {
        UtcTime now = status.TrustedNow;
        screen.Write(Blocks.Facts(Facts(status, wallClock)));
        foreach (AlertView alert in status.Alerts)
            ShowAlert(screen, alert, now);
        foreach (ProtectionView protection in status.MemoryProtection.Where(p => !p.Holds))
            ShowMissing(screen, protection);
        ShowSecrets(screen, status);
        ShowLicenses(screen, status, now);
    }

    private static IEnumerable<(string Name, IRenderable? Value)> Facts(StatusResponse status, UtcTime wallClock)
    {
        UtcTime now = status.TrustedNow;
        string mode = status.LockReason is null ? status.Mode : $"{status.Mode} ({status.LockReason})";
        yield return ("agent", Blocks.Text(status.AgentId.Length > 0 ? status.AgentId : "not enrolled"));
        yield return ("mode", Blocks.Text(mode, Colors.OfMode(status.Mode)));
        yield return ("what to do", Remedies.OfMode(status.Mode, status.LockReason) is { } remedy
            ? Blocks.Text(remedy)
            : null);
        yield return ("next rotation", Blocks.Time(status.NextRotation, now));
        yield return ("last contact", Blocks.Time(status.LastContact, now));
        yield return ("trusted now", Blocks.Text(TrustedNow(now, wallClock)));
        yield return ("TPM", Blocks.Text(Tpm(status.TpmStatus), Colors.OfTpm(status.TpmStatus.State)));
        yield return ("agent version", Blocks.Text(status.Version));
    }

    private static string TrustedNow(UtcTime trusted, UtcTime wallClock)
    {
        TimeSpan ahead = wallClock - trusted;
        string difference = ahead.Duration() <= ClockTolerance
            ? ""
            : $"; this machine's clock is {TimeText.Length(ahead.Duration())} "
                + (ahead > TimeSpan.Zero ? "ahead" : "behind");
        return TimeText.Absolute(trusted) + difference;
    }

    private static string Tpm(TpmView tpm)
    {
        string[] facts =
        [
            .. new[] { tpm.Manufacturer, tpm.Firmware }.OfType<string>(),
            .. tpm.LockoutCounter is { } lockout ? [$"lockout counter {lockout}"] : Array.Empty<string>(),
            .. tpm.Generation is { } generation ? [$"generation {generation}"] : Array.Empty<string>(),
        ];
        return facts.Length == 0 ? tpm.State : $"{tpm.State} ({string.Join(", ", facts)})";
    }

    private static void ShowAlert(Screen screen, AlertView alert, UtcTime now)
    {
        screen.Line();
        screen.Write(Blocks.Facts(
        [
            ($"! {alert.Severity}", Blocks.Text(alert.Id, Colors.OfSeverity(alert.Severity))),
            ("", Blocks.Text(alert.Detail)),
            ("  since", Blocks.Time(alert.Since, now)),
        ]));
    }

    private static void ShowMissing(Screen screen, ProtectionView protection)
    {
        screen.Line();
        screen.Write(Blocks.Facts(
        [
            ("! memory", Blocks.Text(protection.Name, Colors.OfSeverity("warning"))),
            ("", Blocks.Text($"{protection.Detail}; {protection.Remedy}")),
        ]));
    }

    private static void ShowSecrets(Screen screen, StatusResponse status)
    {
        SecretView[] secrets =
        [
            .. new[] { status.PendingSecret, status.ActiveSecret }.OfType<SecretView>(), .. status.GraceSecrets,
        ];
        if (secrets.Length == 0)
            return;
        screen.Line();
        screen.Write(SecretTable.Of(screen, secrets, status.TrustedNow));
    }

    private static void ShowLicenses(Screen screen, StatusResponse status, UtcTime now)
    {
        if (status.LicenseStatus.Count == 0)
            return;
        screen.Line();
        screen.Write(Blocks.Table(screen, LicenseHeads, status.LicenseStatus.Select(license => new[]
        {
            Blocks.Text(license.LicenseId), Blocks.Text(license.Product),
            Blocks.Text(license.Reason, Colors.OfReason(license.Reason)), Blocks.Cell(screen, license.ExpiresAt, now),
            Blocks.Cell(screen, license.LastSeen, now),
        })));
    }
}
