using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Cli.Commands;

/// <summary><c>secrets</c>, <c>rotate</c>, <c>invalidate</c>.</summary>
internal static class SecretCommands
{
    public static Command Secrets(AgentCalls calls) => calls.Bind(
        new Command("secrets", "The secrets this agent knows; never their bytes"),
        (client, _, cancel) => client.SecretsAsync(cancel),
        (screen, answer) => ShowSecrets(screen, answer, calls.Context.WallClock));

    public static Command Rotate(AgentCalls calls) => calls.Bind(
        new Command("rotate", "Rotate the secret now; returns when it is done or has failed"),
        (client, _, cancel) => client.RotateAsync(cancel),
        ShowRotation,
        outcome => outcome.Outcome == "rotated" ? ExitCodes.Ok : ExitCodes.No);

    public static Command Invalidate(AgentCalls calls)
    {
        var version = new Argument<long>("version") { Description = "The version, as `secrets` lists it" };
        version.Validators.Add(result =>
        {
            // What is no number at all, the parser itself refuses.
            if (result.Tokens.Count == 1 && long.TryParse(result.Tokens[0].Value, out long value)
                && value is < 1 or > SecretKid.MaxVersion)
            {
                result.AddError("A version is a number from 1.");
            }
        });
        var force = new Option<bool>("--force")
        {
            Description = "Even the last usable version: licenses are refused until the next rotation",
        };
        return calls.Bind(
            new Command("invalidate", "Take a version out of use at once and for ever") { version, force },
            (client, parsed, cancel) =>
                client.InvalidateAsync(parsed.GetValue(version), parsed.GetValue(force), cancel),
            (screen, outcome) => screen.Line($"Version {outcome.Version} is {outcome.State}."));
    }

    private static void ShowSecrets(Screen screen, SecretsResponse answer, UtcTime now)
    {
        if (answer.Secrets.Count > 0)
            screen.Write(SecretTable.Of(screen, answer.Secrets, now));
        else
            screen.Line("No secret. `license-agent-cli status` says why and what to do.");
        screen.Line();
        screen.Line($"highest version seen {answer.HighestVersionSeen}, lowest valid {answer.MinValidVersion}");
    }

    private static void ShowRotation(Screen screen, RotateOutcome outcome)
    {
        if (outcome.Outcome == "rotated")
        {
            screen.Line($"Rotated: version {outcome.Version} is ACTIVE.");
            return;
        }
        screen.Line($"Not rotated: {outcome.Reason ?? "no reason given"}.");
        screen.Line(Remedies.OfRotation(outcome.Reason));
    }
}
