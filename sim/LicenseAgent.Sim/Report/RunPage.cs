using System.Globalization;
using System.Net;
using System.Text;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Report;

/// <summary>
/// One run as one HTML file that needs nothing else: what broke and why, the hours before it, the whole run, the plan.
/// </summary>
internal static class RunPage
{
    private const long BeforeUs = 2L * 3_600_000_000;
    private const long AfterUs = 600_000_000;
    private const int LanesMax = 8;
    private const int LinesBefore = 40;
    private const int LinesAfter = 4;

    private const string Style = """
        body{font:14px/1.45 system-ui,sans-serif;margin:24px;color:#1b1f24;background:#fff;max-width:1360px}
        h1{font-size:20px}h2{font-size:16px;margin-top:28px}code,pre,table{font:12px/1.4 ui-monospace,monospace}
        .broken{background:#fdecea;border-left:4px solid #c62828;padding:8px 12px;margin:6px 0}
        .clean{background:#e8f5e9;border-left:4px solid #2e7d32;padding:8px 12px}
        pre{background:#f5f6f8;padding:10px;overflow:auto}td{padding:1px 10px 1px 0;vertical-align:top;white-space:pre}
        tr.tied td{background:#fff3cd}tr.at td{background:#fdecea;font-weight:600}
        svg{display:block;margin:8px 0;background:#fff;border:1px solid #e1e4e8}
        text{font:10px system-ui,sans-serif;fill:#333}.node{font-weight:600;font-size:11px}.label{text-anchor:end;fill:#777}
        .time{text-anchor:middle;fill:#777}.grid{stroke:#eceff1}.in{fill:#10202c;font-size:9px}.kind{fill:#8d4004;font-size:9px}
        .fault{fill:#ff9800;opacity:.18}.dead{fill:#37474f;opacity:.55}.finding{stroke:#c62828;stroke-width:2}
        .id{fill:#c62828;font-weight:700;font-size:12px}.clock{fill:none;stroke:#6a1b9a;stroke-width:1.5}
        .mNORMAL{fill:#a5d6a7}.mOFFLINE{fill:#c5e1a5}.mDEGRADED{fill:#ffe082}.mEXHAUSTED{fill:#ef9a9a}.mLOCKED{fill:#e57373}
        .a0{fill:#90caf9}.a1{fill:#80deea}.a2{fill:#b39ddb}.a3{fill:#9fa8da}.pending{fill:#ffcc80}.confirm{fill:#e65100}
        .good{fill:#2e7d32}.bad{fill:#c62828}.sent{fill:#1565c0}.refused{fill:#8e24aa}.forged{fill:#000}.order{fill:#00695c}
        .key span{display:inline-block;width:10px;height:10px;margin:0 4px 0 12px;vertical-align:-1px}
        """;

    /// <param name="repro">The line that shows it again.</param>
    /// <param name="trouble">Why the run is worth nothing, where it does not say so itself.</param>
    public static string Write(RunOutcome run, string repro, string? trouble = null)
    {
        StringBuilder page = new();
        string title = $"{run.Plan.Profile}, seed {run.Plan.Seed}";
        page.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
            + "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            + $"<title>{Safe(title)}</title><style>{Style}</style></head><body>\n<h1>{Safe(title)}</h1>\n");
        Summary(page, run, repro, trouble ?? run.Escape?.ToString());
        Violation? first = run.Violations.MinBy(v => v.AtUs);
        long end = run.History.Count == 0 ? 1 : run.History[^1].AtUs;
        string[] nodes = [.. NodesOf(run, first)];
        if (first is not null)
        {
            long at = Math.Min(first.AtUs, end);
            page.Append("<h2>Before the first finding</h2>\n");
            page.Append(new Timeline(run, Math.Max(0, at - BeforeUs), Math.Min(end, at + AfterUs), [first.Node]).Draw());
            Slice(page, run, first, at);
        }

        page.Append("<h2>The whole run</h2>\n").Append(new Timeline(run, 0, end, nodes).Draw());
        Key(page);
        page.Append("<h2>Plan</h2>\n<pre>").Append(Safe(run.Plan.Write())).Append("</pre>\n</body></html>\n");
        return page.ToString();
    }

    /// <summary>The tills with findings first; not more than fit a screen.</summary>
    private static IEnumerable<string> NodesOf(RunOutcome run, Violation? first) =>
        run.Violations.OrderBy(v => v != first).Select(v => v.Node)
            .Concat(Enumerable.Range(1, run.Plan.Tills).Select(World.SimWorld.NameOf))
            .Where(n => n.StartsWith("till-", StringComparison.Ordinal)).Distinct().Take(LanesMax);

    private static void Summary(StringBuilder page, RunOutcome run, string repro, string? trouble)
    {
        foreach (Violation violation in run.Violations.Take(20))
        {
            Checker? broken = AllCheckers.List.FirstOrDefault(c => c.Id == violation.Id);
            page.Append($"<div class=\"broken\"><b>{violation.Id}</b> {Safe(broken?.Claim ?? "")}<br>"
                + $"{Safe(VirtualTime.Line(violation))}</div>\n");
        }

        if (run.Violations.Count == 0)
        {
            page.Append("<div class=\"clean\">Nothing broke.</div>\n");
        }

        page.Append(CultureInfo.InvariantCulture, $"""
            <p>{run.Plan.Tills} tills, {run.Plan.Hours} h and the healing, {run.Plan.Faults.Count} faults,
            {run.Plan.Orders.Count} orders, {run.Steps} steps, trace <code>{run.Trace.Value:x16}</code></p>
            <pre>{Safe(repro)}</pre>

            """);
    }

    /// <summary>
    /// What the till and the server did before, those lines marked that name the same version, license or nonce as the
    /// finding.
    /// </summary>
    private static void Slice(StringBuilder page, RunOutcome run, Violation first, long at)
    {
        string[] ties = [.. first.Message.Split(' ', ',', ';', '.').Where(IsName)];
        Happening[] all = [.. run.History.Where(h => h.Node == first.Node || h is FaultBegan { Node: "" } or Healed)];
        int index = Array.FindLastIndex(all, h => h.AtUs <= at);
        int begin = Math.Max(0, index - LinesBefore);
        page.Append("<h2>What happened there</h2>\n<table>\n");
        for (int i = begin; i < Math.Min(all.Length, index + 1 + LinesAfter); i++)
        {
            string text = HappeningText.Of(all[i]);
            string style = i == index ? "at" : ties.Any(t => text.Contains(t, StringComparison.Ordinal)) ? "tied" : "";
            page.Append($"<tr class=\"{style}\"><td>{VirtualTime.Text(all[i].AtUs)}</td><td>{Safe(text)}</td></tr>\n");
        }

        page.Append("</table>\n");
    }

    private static bool IsName(string word) =>
        word.StartsWith("lic-", StringComparison.Ordinal) || word.Length == 22
        || (word.Length > 1 && word[0] == 'v' && char.IsAsciiDigit(word[1]));

    private static void Key(StringBuilder page)
    {
        page.Append("<p class=\"key\">");
        foreach ((string colour, string means) in ((string, string)[])
        [
            ("#a5d6a7", "NORMAL"), ("#c5e1a5", "OFFLINE"), ("#ffe082", "DEGRADED"), ("#ef9a9a", "EXHAUSTED"),
            ("#e57373", "LOCKED"), ("#37474f", "no process"), ("#ff9800", "fault"), ("#2e7d32", "valid"),
            ("#c62828", "refused"), ("#1565c0", "answered by the server"), ("#8e24aa", "refused by the server"),
            ("#000", "forged answer"), ("#00695c", "order"), ("#6a1b9a", "trusted now against the truth"),
        ])
        {
            page.Append($"<span style=\"background:{colour}\"></span>{means}");
        }

        page.Append("</p>\n");
    }

    private static string Safe(string text) => WebUtility.HtmlEncode(text);
}
