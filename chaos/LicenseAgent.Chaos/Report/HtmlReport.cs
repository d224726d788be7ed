using System.Globalization;
using System.Net;
using System.Text;
using LicenseAgent.Chaos.Scripts;
using LicenseAgent.Chaos.Sweep;

namespace LicenseAgent.Chaos.Report;

/// <summary>One page that needs nothing else: a line an experiment, its timeline with the faults shaded, and every
/// crash point with its outcome.</summary>
internal static class HtmlReport
{
    private const int Width = 1180, Height = 110, Left = 44, Bottom = 18;

    private const string Style =
        """
        body{font:14px/1.45 system-ui,sans-serif;margin:24px auto;max-width:1240px;color:#1c2430;background:#fff}
        h1{font-size:22px}h2{font-size:16px;margin:28px 0 4px}table{border-collapse:collapse;width:100%}
        td,th{padding:3px 8px;border-bottom:1px solid #e3e7ec;text-align:left;vertical-align:top;font-size:13px}
        .ok{color:#12733a;font-weight:600}.bad{color:#b3261e;font-weight:600}.dim{color:#66707c}
        svg{display:block;background:#fafbfc;border:1px solid #e3e7ec}text{font:11px system-ui,sans-serif;fill:#4a5462}
        summary{cursor:pointer;margin:6px 0}
        """;

    /// <summary>A line on all of it. A point that was not reached counts as none: it proves nothing.</summary>
    public static string Summary(IReadOnlyList<ScriptOutcome> outcomes)
    {
        string experiments = outcomes.Count == 1 ? "1 experiment" : Inv($"{outcomes.Count} experiments");
        int points = outcomes.Sum(o => o.Points.Count), reached = outcomes.Sum(o => o.Points.Count(p => p.Reached));
        return Inv($"{experiments}, {outcomes.Count(o => o.Held)} held")
            + (points == 0 ? "" : Inv($"; {points} crash points, {reached} reached, ")
                + Inv($"{outcomes.Sum(o => o.Points.Count(p => p.Reached && p.Held))} of them held"));
    }

    public static void Write(string path, IReadOnlyList<ScriptOutcome> outcomes, string when)
    {
        StringBuilder page = new();
        page.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Chaos</title><style>")
            .Append(Style).Append("</style></head><body><h1>License Secret Agent: chaos</h1>");
        page.Append(Inv($"<p>{when}: {Text(Summary(outcomes))}.</p>"))
            .Append("<p class=dim>Bars: validations a quarter of a second; green valid, amber refused, red no answer. ")
            .Append("Shaded: the fault.</p><table><tr><th>experiment</th><th>outcome</th><th>s</th></tr>");
        foreach (ScriptOutcome o in outcomes)
        {
            page.Append(Inv($"<tr><td><a href=\"#{o.Experiment.Name}\">{Text(o.Experiment.Name)}</a> "))
                .Append(Text(o.Experiment.Title)).Append("</td><td>").Append(Verdict(o.Held, o.Broken))
                .Append(Inv($"</td><td>{o.Took.TotalSeconds:0}</td></tr>"));
        }

        page.Append("</table>");
        foreach (ScriptOutcome o in outcomes)
        {
            page.Append(Inv($"<h2 id=\"{o.Experiment.Name}\">{Text(o.Experiment.Name)}: {Text(o.Experiment.Title)}</h2>"))
                .Append(Verdict(o.Held, o.Broken));
            if (o.Bins.Count > 0)
                Timeline(page, o);
            if (o.Points.Count > 0)
                Points(page, o.Points);
            page.Append("<details><summary>steps</summary><pre>")
                .Append(Text(string.Join('\n', o.Experiment.Steps.Select(s => s.Text)))).Append("</pre></details>");
        }

        File.WriteAllText(path, page.Append("</body></html>\n").ToString());
    }

    private static void Timeline(StringBuilder page, ScriptOutcome o)
    {
        double end = Math.Max(o.Took.TotalSeconds, 1), x = (Width - Left) / end;
        int most = Math.Max(1, o.Bins.Max(b => b.Valid + b.Refused + b.Errors));
        double y = (Height - Bottom - 16.0) / most, floor = Height - Bottom;
        page.Append(Inv($"<svg viewBox=\"0 0 {Width} {Height}\" width=\"100%\" role=\"img\">"));
        foreach (FaultSpan fault in o.Faults)
        {
            double wide = Math.Max((fault.To - fault.From) * x, 2);
            page.Append(Inv($"<rect x=\"{Left + (fault.From * x):0.0}\" y=\"0\" width=\"{wide:0.0}\" height=\"{floor}\""))
                .Append(" fill=\"#b3261e\" opacity=\".10\"/>")
                .Append(Inv($"<text x=\"{Left + (fault.From * x) + 3:0.0}\" y=\"11\">{Text(fault.Name)}</text>"));
        }

        foreach (Bin bin in o.Bins)
        {
            double at = Left + (bin.At * x), top = floor;
            foreach ((int count, string color) in ((int, string)[])
                [(bin.Valid, "#3a9d5d"), (bin.Refused, "#e0a100"), (bin.Errors, "#c9302c")])
            {
                top -= count * y;
                if (count > 0)
                {
                    page.Append(Inv($"<rect x=\"{at:0.0}\" y=\"{top:0.0}\" width=\"{Traffic.BinSeconds * x:0.0}\""))
                        .Append(Inv($" height=\"{count * y:0.0}\" fill=\"{color}\"/>"));
                }
            }
        }

        for (int s = 0; s <= end; s += end > 40 ? 10 : 5)
            page.Append(Inv($"<text x=\"{Left + (s * x):0.0}\" y=\"{Height - 4}\">{s} s</text>"));
        page.Append(Inv($"<text x=\"2\" y=\"24\">{most / Traffic.BinSeconds:0}/s</text></svg>"));
    }

    private static void Points(StringBuilder page, IReadOnlyList<PointOutcome> points)
    {
        page.Append("<table><tr><th>scenario</th><th>where</th><th>points</th><th>reached</th><th>held</th></tr>");
        foreach (var layer in points.GroupBy(p => (p.Scenario, p.Point.Layer, p.Strike)))
        {
            page.Append(Inv($"<tr><td>{layer.Key.Scenario}</td><td>{layer.Key.Layer} {Upper(layer.Key.Strike)}</td>"))
                .Append(Inv($"<td>{layer.Count()}</td><td>{layer.Count(p => p.Reached)}</td>"))
                .Append(Inv($"<td>{layer.Count(p => p.Held)}</td></tr>"));
        }

        page.Append("</table><details><summary>every point</summary><table><tr><th>scenario</th><th>where</th>")
            .Append("<th>what</th><th>left on disk</th><th>outcome</th><th>s</th></tr>");
        foreach (PointOutcome p in points)
        {
            page.Append(Inv($"<tr><td>{p.Scenario}</td><td>{p.Point.Layer} {p.Point.Ordinal} {Upper(p.Strike)}</td>"))
                .Append(Inv($"<td>{Text(p.Point.Label)}</td><td class=dim>{Text(p.Left)}</td><td>"))
                .Append(p.Reached ? "" : "not reached ").Append(Verdict(p.Held, p.Broken))
                .Append(Inv($"</td><td>{p.Took.TotalSeconds:0.0}</td></tr>"));
        }

        page.Append("</table></details>");
    }

    private static string Verdict(bool held, string broken) =>
        held ? "<span class=ok>held</span>" : $"<span class=bad>broken</span> {Text(broken)}";

    private static string Upper(Strike strike) => strike.ToString().ToUpperInvariant();

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string Inv(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
