using System.CommandLine;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Tokens;
using LicenseServer.Agents;
using LicenseServer.Licenses;

namespace LicenseServer.Commands;

/// <summary><c>licenses …</c>: works on the database, whether or not the server runs.</summary>
internal static class LicenseCommands
{
    private const int PageLength = 500;

    private static readonly string ListHead =
        $"{"LICENSE",-32} {"AGENT",-24} {"VERSION",7} {"EXPIRES",-24} {"STATE",-8} PRODUCT";

    public static Command Create(CommandContext context, Func<ParseResult, ServerOptions> options) =>
        new("licenses", "Issue, list and revoke licenses")
        {
            Issue(context, options), Revoke(context, options), List(context, options), Inspect(context, options),
        };

    private static Command Issue(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var agent = new Argument<string>("agent") { Description = "agent id, e.g. pos-001" };
        var product = new Option<string>("--product") { Description = "what is licensed", Required = true };
        var id = new Option<string?>("--id") { Description = "license id (a new one)" };
        var features = new Option<string[]>("--feature") { Description = "a feature (repeatable)" };
        var metadata = new Option<string[]>("--metadata") { Description = "KEY=VALUE (repeatable)" };
        var lifetime = new Option<string>("--for")
        {
            Description = "how long it is good, e.g. 365d",
            DefaultValueFactory = _ => "365d",
        };
        var command = new Command("issue", "Mint a license token and print it")
        {
            agent, product, id, features, metadata, lifetime,
        };
        command.SetAction((parsed, _) => RunAsync(context, options(parsed), async desk =>
        {
            var text = parsed.GetRequiredValue(lifetime);
            if (!Durations.TryParse(text, out var span))
                throw new OrderRefusedException($"'{text}' is no duration such as 365d");
            var order = new LicenseOrder(
                parsed.GetRequiredValue(agent), parsed.GetRequiredValue(product),
                UtcTime.From(context.Time.GetUtcNow()) + span)
            {
                LicenseId = parsed.GetValue(id),
                Features = parsed.GetValue(features) ?? [],
                Metadata = Pairs(parsed.GetValue(metadata) ?? []),
            };
            var issued = await desk.IssueAsync(order);
            context.Error.WriteLine($"license {issued.LicenseId} under version {issued.SecretVersion}");
            context.Output.WriteLine(issued.Token);
        }));
        return command;
    }

    private static Command Revoke(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var id = new Argument<string>("license") { Description = "license id" };
        var command = new Command("revoke", "Revoke a license at every agent that holds it") { id };
        command.SetAction((parsed, _) => RunAsync(context, options(parsed), async desk =>
        {
            var agents = await desk.RevokeAsync(parsed.GetRequiredValue(id));
            context.Output.WriteLine("revoked; told at the next check-in: " + string.Join(' ', agents));
        }));
        return command;
    }

    private static Command List(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var agent = new Option<string?>("--agent") { Description = "of one agent only" };
        var command = new Command("list", "List issued tokens") { agent };
        command.SetAction((parsed, _) => RunAsync(context, options(parsed), desk =>
        {
            var of = parsed.GetValue(agent);
            context.Output.WriteLine(ListHead);
            var page = desk.Page(of, "", PageLength);
            for (; page.Count > 0; page = desk.Page(of, page[^1].Jti, PageLength))
            {
                foreach (var row in page)
                {
                    context.Output.WriteLine(
                        $"{row.LicenseId,-32} {row.AgentId,-24} {row.Version,7} {row.Expires,-24} "
                        + $"{(row.IsRevoked ? "REVOKED" : "issued"),-8} {row.Product}");
                }
            }

            return Task.CompletedTask;
        }));
        return command;
    }

    private static Command Inspect(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var file = new Argument<FileInfo>("file") { Description = "a file that holds the token" };
        var command = new Command("inspect", "Open a token of any agent and say whether it is good") { file };
        command.SetAction(async (parsed, stop) =>
        {
            var text = await File.ReadAllTextAsync(parsed.GetRequiredValue(file).FullName, stop);
            LicenseJudgement? judged = null;
            await RunAsync(context, options(parsed), desk =>
            {
                judged = desk.Inspect(text.Trim());
                return Task.CompletedTask;
            });
            context.Output.WriteLine($"{"reason",-12} {judged!.Reason}");
            if (judged.Claims is { } claims)
            {
                foreach (var (name, value) in Facts(claims)) context.Output.WriteLine($"{name,-12} {value}");
            }

            return judged.IsValid ? CommandLine.Ok : CommandLine.No;
        });
        return command;
    }

    private static IEnumerable<(string Name, string Value)> Facts(LicenseClaims claims) =>
    [
        ("license", claims.Sub), ("token", claims.Jti), ("agents", string.Join(' ', claims.Aud)),
        ("product", claims.Product), ("not before", claims.NotBefore.ToString()),
        ("expires", claims.ExpiresAt.ToString()), ("features", string.Join(' ', claims.Features)),
        .. claims.Metadata.Select(pair => ("metadata", $"{pair.Key}={pair.Value}")),
    ];

    private static async Task<int> RunAsync(CommandContext context, ServerOptions options, Func<LicenseDesk, Task> work)
    {
        await using var store = await ServerStore.OpenAsync(options, context.Time, RandomNumberGenerator.Fill);
        var keys = new VersionKeys(store.Keys, RandomNumberGenerator.Fill);
        await work(new LicenseDesk(store, keys, context.Time, RandomNumberGenerator.Fill, context.Actor));
        return CommandLine.Ok;
    }

    private static Dictionary<string, string> Pairs(string[] texts)
    {
        var pairs = new Dictionary<string, string>();
        foreach (var text in texts)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1 || !pairs.TryAdd(text[..equals], text[(equals + 1)..]))
                throw new OrderRefusedException($"'{text}' is not KEY=VALUE, or its key stands twice");
        }

        return pairs;
    }
}
