using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Cli.Commands;

internal static class HealthCommand
{
    public static Command Create(AgentCalls calls) => calls.Bind(
        new Command("health", "Whether a license could be validated now; exit code 1 if not"),
        (client, _, cancel) => client.HealthAsync(cancel),
        (screen, health) => Show(screen, health, calls.Context.WallClock),
        health => health.Status == "NOT_READY" ? ExitCodes.No : ExitCodes.Ok);

    private static void Show(Screen screen, HealthResponse health, UtcTime now)
    {
        screen.Write(Blocks.Text($"{health.Status}, mode {health.Mode}", Colors.OfHealth(health.Status)));
        screen.Line(health.CanValidateUntil is { } until
            ? $"Licenses can be validated until {TimeText.Absolute(until)}, {TimeText.Relative(until, now)}."
            : "Licenses cannot be validated. `license-agent-cli status` says why and what to do.");
    }
}
