using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicensePki;
using LicenseServer.Agents;
using LicenseServer.Keys;
using LicenseServer.Storage;

namespace LicenseServer.Commands;

/// <summary><c>agents …</c>: works on the database, whether or not the server runs.</summary>
internal static class AgentCommands
{
    private const int PageLength = 500;
    private const int VersionsShown = 20;

    private static readonly string ListHead =
        $"{"AGENT",-24} {"ENROLLED",-24} {"MODE",-10} {"ACTIVE",7} {"HIGHEST",8} LAST CONTACT";

    public static Command Create(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        var desk = new Desk(context, options);
        return new Command("agents", "Add agents, look at them, give them orders")
        {
            Add(desk), List(desk), Show(desk), LimitGrace(desk), InvalidateBelow(desk), ApproveRecovery(desk),
            Order(desk, "suspend", "Stop the agent from validating", (agents, id) => agents.SuspendAsync(id, true)),
            Order(desk, "resume", "End a suspension", (agents, id) => agents.SuspendAsync(id, false)),
            Order(desk, "re-enroll", "Ask for a new enrolment of the till", (agents, id) => agents.ReEnrollAsync(id)),
            Order(desk, "rotate-now", "Have the agent rotate at once", (agents, id) => agents.RotateNowAsync(id)),
            Approve(desk),
        };
    }

    private static Argument<string> AgentArgument() => new("agent") { Description = "agent id, e.g. pos-001" };

    private static Command Add(Desk desk)
    {
        var agent = AgentArgument();
        var output = new Option<string?>("--out") { Description = "the bundle's file (AGENT.bundle.json)" };
        var replace = new Option<bool>("--replace")
        {
            Description = "the agent is enrolled, and whoever uses this bundle takes its place",
        };
        var command = new Command("add", "Add an agent, or renew one's bundle, and write the bundle")
        {
            agent, output, replace,
        };
        command.SetAction((parsed, _) => desk.RunAsync(parsed, async agents =>
        {
            var path = parsed.GetValue(output) ?? parsed.GetRequiredValue(agent) + ".bundle.json";
            if (File.Exists(path))
                throw new OrderRefusedException($"{path} is there already; remove it, or name another with --out");
            var bundle = await agents.AddAsync(parsed.GetRequiredValue(agent), parsed.GetValue(replace));
            var json = StrictJson.Write(bundle, BundleJsonContext.Wire.EnrollmentBundle);
            DurableFile.Create(path, json, DurableFile.KeyMode);
            desk.Output.WriteLine($"wrote {path}, good until {bundle.ExpiresAt}; treat it like a password");
        }));
        return command;
    }

    private static Command List(Desk desk)
    {
        var command = new Command("list", "List all agents");
        command.SetAction((parsed, _) => desk.RunAsync(parsed, agents =>
        {
            desk.Output.WriteLine(ListHead);
            var page = agents.Page("", PageLength);
            for (; page.Count > 0; page = agents.Page(page[^1].AgentId, PageLength))
            {
                foreach (var agent in page) desk.Output.WriteLine(Line(agent));
            }

            return Task.CompletedTask;
        }));
        return command;
    }

    private static Command Show(Desk desk)
    {
        var agent = AgentArgument();
        var command = new Command("show", "Show one agent, its orders and its latest versions") { agent };
        command.SetAction((parsed, _) => desk.RunAsync(parsed, agents =>
        {
            var id = parsed.GetRequiredValue(agent);
            var found = agents.Find(id, VersionsShown)
                ?? throw new OrderRefusedException($"there is no agent '{id}'; `agents list` shows those there are");
            var facts = Facts(found.Agent, found.Thumbprint, agents.Waiting(id))
                .Concat(Software(agents.FindSoftware(id)));
            foreach (var (name, value) in facts)
                desk.Output.WriteLine($"{name,-20} {(string.IsNullOrEmpty(value) ? "-" : value)}");
            desk.Output.WriteLine();
            desk.Output.WriteLine($"{"VERSION",7} {"STATE",-12} {"KCV",-16} {"VALID UNTIL",-24} GRACE UNTIL");
            foreach (var row in found.Versions)
            {
                var state = row.StateAt(desk.Now).ToString().ToUpperInvariant();
                var times = $"{row.ValidUntil,-24} {row.GraceUntil}";
                desk.Output.WriteLine($"{row.Version,7} {state,-12} {row.Kcv,-16} {times}");
            }

            return Task.CompletedTask;
        }));
        return command;
    }

    private static Command LimitGrace(Desk desk)
    {
        var agent = AgentArgument();
        var until = new Option<string?>("--until") { Description = "YYYY-MM-DDTHH:MM:SS.mmmZ" };
        var lift = new Option<bool>("--lift") { Description = "lift the limit" };
        var command = new Command("limit-grace", "End the agent's grace early") { agent, until, lift };
        command.SetAction((parsed, _) => desk.RunAsync(parsed, agents =>
        {
            UtcTime? limit = UtcTime.TryParse(parsed.GetValue(until), out var time) ? time : null;
            if (limit is null != parsed.GetValue(lift))
                throw new OrderRefusedException("give either --until YYYY-MM-DDTHH:MM:SS.mmmZ or --lift");
            return agents.LimitGraceAsync(parsed.GetRequiredValue(agent), limit);
        }));
        return command;
    }

    private static Command InvalidateBelow(Desk desk)
    {
        var agent = AgentArgument();
        var version = new Argument<long>("version") { Description = "the lowest version that lives on" };
        var command = new Command("invalidate-below", "End every version below a number, for good") { agent, version };
        command.SetAction((parsed, _) => desk.RunAsync(parsed, agents =>
            agents.InvalidateBelowAsync(parsed.GetRequiredValue(agent), parsed.GetRequiredValue(version))));
        return command;
    }

    private static Command Approve(Desk desk)
    {
        var agent = AgentArgument();
        var thumbprint = new Argument<string>("thumbprint") { Description = "the signing key, as shown at the till" };
        var command = new Command("approve", "Let the enrolment of a compared signing key through")
        {
            agent, thumbprint,
        };
        command.SetAction((parsed, _) => desk.RunAsync(parsed, agents =>
            agents.ApproveAsync(parsed.GetRequiredValue(agent), parsed.GetRequiredValue(thumbprint))));
        return command;
    }

    private static Command ApproveRecovery(Desk desk)
    {
        var agent = AgentArgument();
        var software = new Option<bool>("--software")
        {
            Description = "let the agent go on with its software keys until its TPM is back",
        };
        var days = new Option<int?>("--days") { Description = "with --software: for how long, 1 to 30" };
        var command = new Command(
            "approve-recovery", "Decide that the agent is one machine and may recover its state, or go on without TPM")
        {
            agent, software, days,
        };
        command.SetAction((parsed, _) => desk.RunAsync(parsed, agents =>
            (parsed.GetValue(software), parsed.GetValue(days)) switch
            {
                (false, null) => agents.ApproveRecoveryAsync(parsed.GetRequiredValue(agent)),
                (true, { } count) => agents.ApproveSoftwareAsync(parsed.GetRequiredValue(agent), count),
                _ => throw new OrderRefusedException("give --software and --days N together, or neither"),
            }));
        return command;
    }

    private static IEnumerable<(string Name, string? Value)> Software(SoftwareRow? loss) => loss is null
        ? []
        :
        [
            ("software: asked", loss.Asked?.ToString()), ("software: since", loss.Since?.ToString()),
            ("software: approved", loss.ApprovedUntil?.ToString()),
        ];

    private static Command Order(Desk desk, string name, string description, Func<AgentDesk, string, Task> order)
    {
        var agent = AgentArgument();
        var command = new Command(name, description) { agent };
        command.SetAction((parsed, _) => desk.RunAsync(
            parsed, agents => order(agents, parsed.GetRequiredValue(agent))));
        return command;
    }

    private static string Line(AgentRow agent) =>
        $"{agent.AgentId,-24} {Text(agent.Enrolled),-24} {Mode(agent),-10} {agent.AgentActive ?? 0,7} "
        + $"{agent.Highest,8} {Text(agent.LastSeen)}";

    private static string Mode(AgentRow agent) => agent switch
    {
        { Suspended: true } => "SUSPENDED",
        { CloneSince: not null } => "SUSPECT",
        _ => agent.Mode ?? "-",
    };

    private static string Text(UtcTime? time) => time?.ToString() ?? "-";

    private static IEnumerable<(string Name, string? Value)> Facts(
        AgentRow agent, string? thumbprint, string? waiting) =>
    [
        ("agent", agent.AgentId), ("created", agent.Created.ToString()), ("enrolled", agent.Enrolled?.ToString()),
        ("signing key", thumbprint), ("waiting key", waiting), ("highest version", Text(agent.Highest)),
        ("last contact", agent.LastSeen?.ToString()), ("mode", agent.Mode), ("lock reason", agent.LockReason),
        ("agent's ACTIVE", Text(agent.AgentActive)), ("held versions", string.Join(' ', agent.HeldVersions)),
        ("protection", agent.Protection), ("tpm", agent.Tpm), ("agent version", agent.AgentVersion),
        ("keyset", Text(agent.KeysetVersion)), ("audit regressed", agent.AuditRegressed ? "YES" : "no"),
        ("clone suspect", agent.CloneSince is { } since ? $"since {since}: {agent.CloneEvidence}" : null),
        ("order: suspend", agent.Suspended ? "holds" : null),
        ("order: limit grace", agent.LimitGraceUntil?.ToString()),
        ("order: below", agent.InvalidateBelow == 0 ? null : Text(agent.InvalidateBelow)),
        ("order: rotate above", Text(agent.RotateAbove)), ("order: re-enrol", agent.ReEnroll ? "holds" : null),
        ("revocations", Text(agent.RevocationsVersion)),
    ];

    private static string? Text(long? number) => number?.ToString(CultureInfo.InvariantCulture);

    /// <summary>Opens the data directory for one command.</summary>
    private sealed class Desk(CommandContext context, Func<ParseResult, ServerOptions> options)
    {
        public TextWriter Output => context.Output;

        public UtcTime Now => UtcTime.From(context.Time.GetUtcNow());

        public async Task<int> RunAsync(ParseResult parsed, Func<AgentDesk, Task> work)
        {
            FillRandom random = RandomNumberGenerator.Fill;
            await using var store = await ServerStore.OpenAsync(options(parsed), context.Time, random);
            var keys = new VersionKeys(store.Keys, random);
            await work(new AgentDesk(store, keys, context.Time, random, context.Actor));
            return CommandLine.Ok;
        }
    }
}
