using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Cli.Commands;

/// <summary><c>degraded on|off</c> and <c>reload</c>: what the agent does from now on.</summary>
internal static class ConductCommands
{
    public static Command Degraded(AgentCalls calls) =>
        new("degraded", "Whether licenses stay valid during grace, when rotation has failed")
        {
            Degraded(calls, "on", "Licenses stay valid until grace ends", allowed: true),
            Degraded(calls, "off", "Licenses are refused as soon as the secret's normal life ends", allowed: false),
        };

    public static Command Reload(AgentCalls calls) => calls.Bind(
        new Command("reload", "Read the configuration again, as SIGHUP does; ends the sessions of who signed in"),
        (client, _, cancel) => client.ReloadAsync(cancel),
        ShowReload,
        outcome => outcome.Outcome == "reloaded" ? ExitCodes.Ok : ExitCodes.No);

    private static Command Degraded(AgentCalls calls, string name, string description, bool allowed) => calls.Bind(
        new Command(name, description + "; holds over restarts"),
        (client, _, cancel) => client.DegradedAsync(allowed, cancel),
        (screen, outcome) => screen.Line(outcome.Allowed
            ? "Licenses stay valid during grace."
            : "Licenses are refused as soon as the secret's normal life ends. `degraded on` takes this back."));

    private static void ShowReload(Screen screen, ReloadOutcome outcome)
    {
        if (outcome.Outcome != "reloaded")
        {
            screen.Line("Not reloaded; the configuration of before stays in force:");
            foreach (string error in outcome.Errors)
                screen.Line($"  {error}");
            return;
        }
        screen.Line(outcome.Changed.Count == 0 ? "Reloaded; no key differs." : "Reloaded; what differs:");
        foreach (string key in outcome.Changed)
            screen.Line($"  {key}");
    }
}
