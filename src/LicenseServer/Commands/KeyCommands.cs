using System.CommandLine;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseServer.Keys;
using LicenseServer.Storage;

namespace LicenseServer.Commands;

/// <summary><c>keys …</c>: works on key file and database, whether or not the server runs.</summary>
internal static class KeyCommands
{
    private static readonly string ListHead =
        $"{"KEY",-43} {"SCOPE",-8} {"STATE",-9} {"SINCE",-24} {"KEYSETS",-9} KEPT UNTIL";

    public static Command Create(CommandContext context, Func<ParseResult, ServerOptions> options) =>
        new("keys", "Signing keys and keysets") { List(context, options), Rotate(context, options) };

    private static Command List(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var command = new Command("list", "List signing keys, and how far the fleet is with the keyset");
        command.SetAction((parsed, _) => RunAsync(context, options(parsed), async desk =>
        {
            var (keys, fleet) = await desk.ListAsync();
            context.Output.WriteLine(ListHead);
            foreach (var key in keys) context.Output.WriteLine(Line(key));
            context.Output.WriteLine(
                $"keyset {fleet.Version}: {fleet.Have} of {fleet.Agents} agents heard of within 30 days have it");
            return CommandLine.Ok;
        }));
        return command;
    }

    private static Command Rotate(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var scopes = new Option<string[]>("--scope") { Description = "keyset, response or license (all three)" };
        scopes.AcceptOnlyFromAmong([.. KeyFile.Scopes]);
        var pins = new Option<string[]>("--pin") { Description = "announce the pin of a server certificate to come" };
        var force = new Option<bool>("--force") { Description = "do not wait for agents that lack the keyset" };
        var command = new Command(
            "rotate", "Announce new signing keys; run again: let them sign, and drop what is over")
        {
            scopes, pins, force,
        };
        command.SetAction((parsed, _) => RunAsync(context, options(parsed), async desk =>
        {
            var given = parsed.GetValue(scopes) is { Length: > 0 } some ? some : [.. KeyFile.Scopes];
            var rotation = await desk.RotateAsync(
                [.. given.Distinct()], parsed.GetValue(pins) ?? [], parsed.GetValue(force));
            foreach (var line in rotation.Done) context.Output.WriteLine(line);
            foreach (var line in rotation.Waiting) context.Output.WriteLine(line);
            return rotation.Done.Count > 0 ? CommandLine.Ok : CommandLine.No;
        }));
        return command;
    }

    private static string Line(SigningKeyRow key)
    {
        var (state, since) = key switch
        {
            { DroppedIn: not null } => ("dropped", key.Retired),
            { Retired: { } retired } => ("retired", retired),
            { SignsSince: { } signs } => ("signs", signs),
            _ => ("announced", (UtcTime?)key.Announced),
        };
        var keysets = key.DroppedIn is { } end ? $"{key.AnnouncedIn}-{end - 1}" : $"{key.AnnouncedIn}-";
        return $"{key.Kid,-43} {key.Scope,-8} {state,-9} {since,-24} {keysets,-9} {key.KeepUntil?.ToString() ?? "-"}";
    }

    private static async Task<int> RunAsync(
        CommandContext context, ServerOptions options, Func<KeyDesk, Task<int>> work)
    {
        await using var store = await ServerStore.OpenAsync(options, context.Time, RandomNumberGenerator.Fill);
        return await work(new KeyDesk(store, context.Time, context.Actor));
    }
}
