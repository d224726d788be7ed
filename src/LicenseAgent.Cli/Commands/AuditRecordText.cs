using System.Text.Json;
using LicenseAgent.Cli.Display;
using Spectre.Console;

namespace LicenseAgent.Cli.Commands;

/// <summary>
/// One record for people: a line with what happened and how it ended, and, on a terminal, a second one with who and the
/// details. In a file all of it is one line, so that grep finds whole records.
/// </summary>
internal static class AuditRecordText
{
    // Under the time, behind the number.
    private const int Indent = 9;

    private static readonly string[] ActorMembers = ["uid", "pid", "role"];

    private static readonly Style Dim = new(decoration: Decoration.Dim);

    public static void Show(Screen screen, JsonElement record)
    {
        string head = Screen.Clean($"{Text(record, "seq"),7}  {Text(record, "time")}  {Text(record, "event")}  ");
        string outcome = Screen.Clean(Text(record, "outcome"));
        string rest = Screen.Clean($"{Actor(record)}  {Details(record)}".TrimEnd());
        if (!screen.Form.IsTerminal)
        {
            screen.Line($"{head}{outcome}  {rest}");
            return;
        }
        screen.Write(new Paragraph(head, Style.Plain).Append(outcome, OfOutcome(outcome)));
        screen.Write(new Padder(new Text(rest, Dim)).Padding(Indent, 0, 0, 0));
    }

    private static Style OfOutcome(string outcome) => outcome switch
    {
        "ok" => new Style(Color.Green),
        "refused" => new Style(Color.Yellow),
        _ => new Style(Color.Red),
    };

    private static string Actor(JsonElement record)
    {
        if (!record.TryGetProperty("actor", out JsonElement actor) || actor.ValueKind != JsonValueKind.Object)
            return "-";
        string kind = Text(actor, "kind");
        string[] parts =
        [
            kind,
            .. ActorMembers.Where(name => Text(actor, name) != "-")
                .Select(name => name == "role" ? Text(actor, name) : $"{name}={Text(actor, name)}"),
        ];
        return string.Join(' ', parts);
    }

    private static string Details(JsonElement record)
    {
        string op = Text(record, "op") is not "-" and var known ? $"op={known} " : "";
        if (!record.TryGetProperty("details", out JsonElement details) || details.ValueKind != JsonValueKind.Object)
            return op.TrimEnd();
        return (op + string.Join(' ', details.EnumerateObject().Select(d => $"{d.Name}={Value(d.Value)}"))).TrimEnd();
    }

    private static string Text(JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out JsonElement value) ? Value(value) : "-";

    private static string Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "-",
        JsonValueKind.String when value.GetString()! is var text =>
            text.Length == 0 || text.Contains(' ', StringComparison.Ordinal) ? $"\"{text}\"" : text,
        _ => value.GetRawText(),
    };
}
