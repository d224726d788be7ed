using System.Globalization;
using System.Net;
using System.Text;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;

namespace LicenseAgent.Sim.Report;

/// <summary>What a campaign came to.</summary>
/// <param name="From">Its first seed.</param>
/// <param name="Broken">The seeds that broke something or are worth nothing, with a page of their own beside this one.</param>
internal sealed record CampaignResult(
    string Profile, ulong From, int Seeds, TimeSpan Took, double AgentHours, long Steps,
    IReadOnlyList<SeedResult> Broken, Catalog Catalog);

/// <summary>
/// Many seeds as one HTML file that needs nothing else: what broke, with the way to each run's page; every invariant with
/// what it was judged on; what had to happen, and how often it did.
/// </summary>
internal static class CampaignPage
{
    public const string Name = "index.html";

    private const string Style = """
        body{font:14px/1.45 system-ui,sans-serif;margin:24px;color:#1b1f24;background:#fff;max-width:1200px}
        h1{font-size:20px}h2{font-size:16px;margin-top:28px}code,pre{font:12px/1.4 ui-monospace,monospace}
        .broken{background:#fdecea;border-left:4px solid #c62828;padding:8px 12px;margin:6px 0}
        .clean{background:#e8f5e9;border-left:4px solid #2e7d32;padding:8px 12px}
        .short{background:#fff8e1;border-left:4px solid #f9a825;padding:8px 12px;margin:6px 0}
        pre{background:#f5f6f8;padding:10px;overflow:auto}table{border-collapse:collapse}
        td,th{padding:3px 14px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid #eceff1}
        td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr.bad td{background:#fdecea}tr.none td{background:#fff8e1}
        .bar{display:inline-block;height:9px;background:#90caf9;vertical-align:middle}
        """;

    /// <summary>The name of a broken seed's page.</summary>
    public static string PageOf(ulong seed) => string.Create(CultureInfo.InvariantCulture, $"seed-{seed}.html");

    public static string Write(CampaignResult campaign)
    {
        StringBuilder page = new();
        string title = $"{campaign.Profile}, {campaign.Seeds} seeds from {campaign.From}";
        page.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
            + "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            + $"<title>{Safe(title)}</title><style>{Style}</style></head><body>\n<h1>{Safe(title)}</h1>\n");
        Verdict(page, campaign);
        Findings(page, campaign);
        Invariants(page, campaign);
        WhatHappened(page, campaign);
        return page.Append("</body></html>\n").ToString();
    }

    private static void Verdict(StringBuilder page, CampaignResult campaign)
    {
        string missing = string.Join(", ", campaign.Catalog.Missing.Select(m => m.Id).Concat(campaign.Catalog.NeverJudged));
        SeedResult? worthless = campaign.Broken.FirstOrDefault(b => b.Trouble is not null);
        (string style, string verdict) = (worthless, campaign.Broken.Count, missing) switch
        {
            ({ Code: ExitCodes.NotDeterministic }, _, _) =>
                ("broken", $"Seed {worthless.Seed} ended the campaign: two runs of it differ, or code left the loop."),
            (not null, _, _) => ("broken", $"Seed {worthless.Seed} ended the campaign: the simulator itself failed."),
            (_, > 0, _) => ("broken", $"{campaign.Broken.Count} of {campaign.Seeds} seeds broke something."),
            (_, _, { Length: > 0 }) =>
                ("short", $"Nothing broke, and it proves less than it should: {missing} never happened or was never judged."),
            _ => ("clean", "Nothing broke, and everything that must happen did."),
        };
        page.Append($"<div class=\"{style}\">{verdict}</div>\n");
        double seconds = Math.Max(0.001, campaign.Took.TotalSeconds);
        page.Append(CultureInfo.InvariantCulture, $"""
            <p>{campaign.AgentHours / 8_766:f1} agent-years, {campaign.Steps / 1e6:f1} million steps in {campaign.Took:h\:mm\:ss}:
            {campaign.Seeds / seconds:f2} seeds/s, {campaign.AgentHours / 8_766 / seconds:f3} agent-years/s.</p>

            """);
    }

    private static void Findings(StringBuilder page, CampaignResult campaign)
    {
        foreach (SeedResult seed in campaign.Broken)
        {
            page.Append(seed.HasRun
                ? $"<div class=\"broken\"><a href=\"{PageOf(seed.Seed)}\">seed {seed.Seed}</a><br>"
                : $"<div class=\"broken\">seed {seed.Seed}<br>");
            page.Append(seed.Trouble is { } trouble ? $"<pre>{Safe(trouble)}</pre>" : "");
            page.AppendJoin("<br>", seed.Findings.Select(f => Safe(VirtualTime.Line(f))));
            page.Append($"<pre>{Safe(seed.Repro(campaign.Profile))}</pre></div>\n");
        }
    }

    private static void Invariants(StringBuilder page, CampaignResult campaign)
    {
        page.Append("<h2>Invariants</h2>\n<table><tr><th></th><th>always</th><th class=\"n\">judged</th><th class=\"n\">broken by seeds</th></tr>\n");
        foreach (Checker checker in AllCheckers.List.OrderBy(c => c.Id, StringComparer.Ordinal))
        {
            int broken = campaign.Broken.Count(s => s.Findings.Any(f => f.Id == checker.Id));
            long judged = campaign.Catalog.Judged(checker.Id);
            string look = broken > 0 ? " class=\"bad\"" : campaign.Catalog.NeverJudged.Contains(checker.Id) ? " class=\"none\"" : "";
            page.Append(CultureInfo.InvariantCulture, $"<tr{look}><td>{checker.Id}</td><td>{Safe(checker.Claim)}</td>"
                + $"<td class=\"n\">{judged}</td><td class=\"n\">{broken}</td></tr>\n");
        }

        page.Append("</table>\n");
    }

    private static void WhatHappened(StringBuilder page, CampaignResult campaign)
    {
        const int BarMax = 200;
        page.Append("<h2>What happened</h2>\n<p>An invariant that held because nothing came near it is no result. "
            + "What this profile must have seen is marked where it did not.</p>\n"
            + "<table><tr><th></th><th>in some run</th><th class=\"n\">runs</th><th></th><th class=\"n\">first seed</th></tr>\n");
        HashSet<string> missing = [.. campaign.Catalog.Missing.Select(m => m.Id)];
        foreach (MustHappen entry in Catalog.Entries)
        {
            long hits = campaign.Catalog.Hits(entry.Id);
            int bar = (int)(BarMax * hits / Math.Max(1, campaign.Seeds));
            page.Append(CultureInfo.InvariantCulture,
                $"<tr{(missing.Contains(entry.Id) ? " class=\"none\"" : "")}><td>{entry.Id}</td><td>{Safe(entry.Claim)}</td>"
                + $"<td class=\"n\">{hits}</td><td><span class=\"bar\" style=\"width:{bar}px\"></span></td>"
                + $"<td class=\"n\">{campaign.Catalog.First(entry.Id)}</td></tr>\n");
        }

        page.Append("</table>\n");
    }

    private static string Safe(string text) => WebUtility.HtmlEncode(text);
}
