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
    private const long HoursUs = 2L * 3_600_000_000;
    private const long AfterHoursUs = 600_000_000;
    private const long CloseUs = 600_000_000;
    private const long AfterCloseUs = 5_000_000;
    private const int LanesMax = 8;

    // Of each invariant.
    private const int FindingsListed = 6;

    // The first of an invariant at each till, each with its pictures.
    private const int FindingsShown = 5;
    private const int TextMax = 2_000;

    private const string Style = """
        body{font:14px/1.45 system-ui,sans-serif;margin:24px;color:#1b1f24;background:#fff;max-width:1360px}
        h1{font-size:20px}h2{font-size:16px;margin-top:28px}code,pre,table{font:12px/1.4 ui-monospace,monospace}
        .broken{background:#fdecea;border-left:4px solid #c62828;padding:8px 12px;margin:6px 0}
        .clean{background:#e8f5e9;border-left:4px solid #2e7d32;padding:8px 12px}
        pre{background:#f5f6f8;padding:10px;overflow:auto}td{padding:1px 10px 1px 0;vertical-align:top;white-space:pre}
        th{text-align:left;color:#777;font-weight:400}h3{font-size:14px;margin:14px 0 4px}
        tr.at td{background:#fdecea;font-weight:600}tr.d1 td{background:#fff3cd}tr.d2 td{background:#fff9e6}tr.beside td{color:#90959c}
        td:last-child{white-space:pre-wrap;overflow-wrap:anywhere}.lane{fill:#f5f6f8}
        .request,.reply,.late,.copy,.made,.refusal,.lost{stroke-width:1;stroke:#1565c0}.reply{stroke:#2e7d32}
        .refusal{stroke:#8e24aa}.made{stroke:#000}.late{stroke:#9e9e9e}.copy{stroke-dasharray:2 3}
        .lost{stroke:#c62828;stroke-dasharray:4 2}.cross{stroke:#c62828;stroke-width:1.5;fill:none}
        .wall{fill:none;stroke:#ef6c00;stroke-width:1.2}.scale{text-anchor:end;fill:#777;font-size:8px}
        svg{display:block;margin:8px 0;background:#fff;border:1px solid #e1e4e8}
        text{font:10px system-ui,sans-serif;fill:#333}.node{font-weight:600;font-size:11px}.label{text-anchor:end;fill:#777}
        .time{text-anchor:middle;fill:#777}.last{text-anchor:end}.grid{stroke:#eceff1}.in{fill:#10202c;font-size:9px}.kind{fill:#8d4004;font-size:9px}
        .fault{fill:#ff9800;opacity:.18}.dead{fill:#37474f;opacity:.55}.finding{stroke:#c62828;stroke-width:2}
        .id{fill:#c62828;font-weight:700;font-size:12px}.trusted{fill:none;stroke:#6a1b9a;stroke-width:1.2}
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
        Violation[] shown =
        [
            .. run.Violations.DistinctBy(v => (v.Id, v.Node)).OrderBy(v => v.AtUs).Take(FindingsShown),
        ];
        long end = run.History.Count == 0 ? 1 : run.History[^1].AtUs;
        foreach (Violation finding in shown)
        {
            Finding(page, run, finding with { AtUs = Math.Min(finding.AtUs, end) });
        }

        if (run.History.Count > 0)
        {
            page.Append("<h2>The whole run</h2>\n").Append(new Timeline(run, 0, end, [.. NodesOf(run)], isWhole: true).Draw());
            Key(page);
        }

        page.Append("<h2>Plan</h2>\n<pre>").Append(Safe(run.Plan.Write())).Append("</pre>\n</body></html>\n");
        return page.ToString();
    }

    /// <summary>The tills with findings first; not more than fit a screen.</summary>
    private static IEnumerable<string> NodesOf(RunOutcome run) =>
        run.Violations.OrderBy(v => v.AtUs).Select(v => v.Node)
            .Concat(Enumerable.Range(1, run.Plan.Tills).Select(World.SimWorld.NameOf))
            .Where(IsTill).Distinct().Take(LanesMax);

    private static bool IsTill(string node) => node.StartsWith("till-", StringComparison.Ordinal);

    private static void Summary(StringBuilder page, RunOutcome run, string repro, string? trouble)
    {
        if (trouble is not null)
        {
            page.Append($"<div class=\"broken\">This run is worth nothing.<pre>{Safe(Cut(trouble))}</pre></div>\n");
        }

        foreach (IGrouping<string, Violation> broken in run.Violations.GroupBy(v => v.Id))
        {
            int more = broken.Count() - FindingsListed;
            page.Append($"<div class=\"broken\"><b>{Safe(broken.Key)}</b> {Safe(ClaimOf(broken.Key))}<br>\n");
            page.AppendJoin("<br>\n", broken.OrderBy(v => v.AtUs).Take(FindingsListed).Select(v => Safe(Cut(VirtualTime.Line(v)))));
            page.Append(more > 0 ? $"<br>and {more} more</div>\n" : "</div>\n");
        }

        if (run.Violations.Count == 0 && trouble is null)
        {
            page.Append("<div class=\"clean\">Nothing broke.</div>\n");
        }

        page.Append(CultureInfo.InvariantCulture, $"""
            <p>{Safe(PlanLine.Of(run.Plan))}<br>
            {run.Steps} steps, trace <code>{run.Trace.Value:x16}</code></p>
            <pre>{Safe(repro)}</pre>

            """);
    }

    /// <summary>The hours before it, what followed the last request, and what led to it.</summary>
    private static void Finding(StringBuilder page, RunOutcome run, Violation finding)
    {
        long at = finding.AtUs, end = run.History.Count == 0 ? at : run.History[^1].AtUs;
        string[] nodes = IsTill(finding.Node) ? [finding.Node] : [.. NodesOf(run).Take(2)];
        page.Append($"<h2>{Safe(finding.Id)} at {VirtualTime.Text(at)}, {Safe(finding.Node)}</h2>\n"
            + $"<p>{Safe(Cut(finding.Message))}</p>\n");
        if (run.History.Count == 0)
        {
            return;
        }

        page.Append(new Timeline(run, Math.Max(0, at - HoursUs), Math.Min(end, at + AfterHoursUs), nodes).Draw());
        if (run.History.LastOrDefault(h => h is RequestLeft && h.Node == finding.Node && h.AtUs <= at) is { } request
            && request.AtUs >= at - CloseUs)
        {
            page.Append("<p>From the last request before it:</p>\n");
            page.Append(new Timeline(run, Math.Max(0, request.AtUs - 1_000_000), Math.Min(end, at + AfterCloseUs), nodes).Draw());
        }

        Slice(page, run, finding);
    }

    private static void Slice(StringBuilder page, RunOutcome run, Violation finding)
    {
        CausalSlice slice = CausalSlice.Of(run, finding);
        page.Append("<h3>What led to it</h3>\n<table><tr><th>time</th><th>before</th><th>tie</th><th></th></tr>\n");
        if (slice.LeftOut > 0)
        {
            page.Append($"<tr><td colspan=\"4\">{slice.LeftOut} lines of loose ties are left out; `explain` has them.</td></tr>\n");
        }

        foreach (SliceLine line in slice.Lines)
        {
            string style = line.Depth == 0 ? "at" : line.Tie.Length == 0 ? "beside" : $"d{line.Depth}";
            long before = (line.What.AtUs - finding.AtUs) / 1_000;
            string text = line.What.Node == finding.Node ? HappeningText.Named(line.What) : HappeningText.Of(line.What);
            string more = line.More == 0 ? "" : $"  and {line.More} more like it";
            page.Append($"<tr class=\"{style}\"><td>{VirtualTime.Text(line.What.AtUs)}</td>"
                + $"<td>{HappeningText.Off(before)}</td><td>{Safe(line.Tie)}</td>"
                + $"<td>{Safe(Cut(text))}{more}</td></tr>\n");
        }

        page.Append("</table>\n");
    }

    private static string ClaimOf(string id) => AllCheckers.List.FirstOrDefault(c => c.Id == id)?.Claim ?? "";

    /// <summary>A stack or a whole answer may stand in a text.</summary>
    private static string Cut(string text) => text.Length <= TextMax ? text : text[..TextMax] + " …";

    private static void Key(StringBuilder page)
    {
        page.Append("<p class=\"key\">");
        foreach ((string colour, string means) in ((string, string)[])
        [
            ("#a5d6a7", "NORMAL"), ("#c5e1a5", "OFFLINE"), ("#ffe082", "DEGRADED"), ("#ef9a9a", "EXHAUSTED"),
            ("#e57373", "LOCKED"), ("#37474f", "no process"), ("#ff9800", "fault"), ("#2e7d32", "valid"),
            ("#c62828", "refused"), ("#1565c0", "answered by the server"), ("#8e24aa", "refused by the server"),
            ("#000", "forged answer"), ("#00695c", "order"), ("#6a1b9a", "trusted now against the truth"),
            ("#ef6c00", "wall clock against the truth"), ("#e65100", "confirm sent"),
        ])
        {
            page.Append($"<span style=\"background:{colour}\"></span>{means}");
        }

        page.Append("</p>\n<p>Between the lanes of one till and the server: a request is blue, its answer green, or purple "
            + "where it refuses, black where it was forged, grey where it came too late; red and broken off: lost; dotted: "
            + "a copy. What a mark says shows when it is pointed at.</p>\n");
    }

    private static string Safe(string text) => WebUtility.HtmlEncode(text);
}
