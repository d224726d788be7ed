using System.CommandLine;
using LicenseAgent.Client;

namespace LicenseAgent.Cli.Commands;

/// <summary><c>audit show|tail|verify</c>.</summary>
internal static class AuditCommands
{
    private const int ShownByDefault = 100;

    public static Command Create(AgentCalls calls) => new("audit", "The audit log")
    {
        Show(calls), AuditTail.Create(calls), AuditVerify.Create(calls),
    };

    private static Command Show(AgentCalls calls)
    {
        var after = new Option<long>("--after") { Description = "Begin behind this record", HelpName = "SEQ" };
        var limit = new Option<int>("--limit")
        {
            Description = $"Most records, 1 to {ManagementClient.AuditPageMax}",
            HelpName = "N",
            DefaultValueFactory = _ => ShownByDefault,
        };
        after.Validators.Add(result => Range(result, 0, long.MaxValue, "--after"));
        limit.Validators.Add(result => Range(result, 1, ManagementClient.AuditPageMax, "--limit"));
        return calls.Bind(
            new Command("show", "Records from a number on, oldest first") { after, limit },
            (client, parsed, cancel) => client.AuditAsync(parsed.GetValue(after), parsed.GetValue(limit), cancel),
            (screen, page) =>
            {
                foreach (System.Text.Json.JsonElement record in page.Records)
                    AuditRecordText.Show(screen, record);
                if (page.Records.Count == 0)
                    screen.Line("No such records.");
                if (page.Next is { } next)
                    screen.Line($"More: license-agent-cli audit show --after {next}");
            });
    }

    public static void Range(
        System.CommandLine.Parsing.OptionResult result, long from, long to, string option)
    {
        // What is no number at all, the parser itself refuses.
        if (result.Tokens.Count == 1 && long.TryParse(result.Tokens[0].Value, out long value)
            && (value < from || value > to))
        {
            result.AddError(to == long.MaxValue
                ? $"{option} is a number from {from}."
                : $"{option} is a number from {from} to {to}.");
        }
    }
}
