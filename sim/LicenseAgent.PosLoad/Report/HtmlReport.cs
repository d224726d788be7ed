using System.Globalization;
using System.Net;
using System.Text;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Report;

/// <summary>One self-contained page: no script, nothing loaded from anywhere.</summary>
internal static class HtmlReport
{
    private const string Blue = "#1f6feb", Red = "#d1242f", Green = "#1a7f37", Orange = "#bc4c00", Grey = "#8b949e";

    private static readonly double[] s_shares = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999];

    public static string Page(Scenario scenario, Verdict verdict, LoadResult result, LoadResult? baseline, string machine)
    {
        StringBuilder page = new();
        page.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>")
            .Append(Text(scenario.Name)).Append("</title><style>").Append(Style).Append("</style></head><body><h1>")
            .Append(Text(scenario.Name)).Append(" <span class=\"")
            .Append(verdict.IsVoid ? "void" : verdict.Failed ? "bad" : "good").Append("\">").Append(Text(verdict.Text))
            .Append("</span></h1><p>").Append(Text(scenario.About)).Append("</p><p class=\"small\">")
            .Append(Text(machine)).Append("</p>");
        Figures(page, verdict);
        foreach (string trouble in result.Troubles)
        {
            page.Append("<p class=\"trouble\">").Append(Text(trouble)).Append("</p>");
        }

        foreach (Chart chart in Charts(result, baseline))
        {
            page.Append(chart.Svg());
        }

        return page.Append("</body></html>\n").ToString();
    }

    private static void Figures(StringBuilder page, Verdict verdict)
    {
        page.Append("<table><tr><th>figure</th><th>measured</th><th>wanted</th><th></th></tr>");
        foreach (Finding f in verdict.Findings)
        {
            string met = f.Met switch { true => "yes", false => "<b>no</b>", null => "" };
            page.Append(CultureInfo.InvariantCulture,
                $"<tr><td>{Text(f.Name)}</td><td>{Text(f.Measured)}</td><td>{Text(f.Wanted)}</td><td>{met}</td></tr>");
        }

        page.Append("</table>");
    }

    private static IEnumerable<Chart> Charts(LoadResult result, LoadResult? baseline)
    {
        Mark[] marks = [.. result.Events.Select(e => new Mark(e.At, e.Do))];
        List<Series> shares = [ByShare(result, result.Target, Blue)];
        if (baseline is not null)
        {
            shares.Add(ByShare(baseline, baseline.Target, Grey));
        }

        yield return new Chart("Latency by percentile", "ms, logarithmic", isLog: true)
        {
            Series = shares,
            Ticks = [.. s_shares.Select((q, i) => ((double)i, (q * 100).ToString("0.####", CultureInfo.InvariantCulture)))],
        };
        yield return new Chart("Latency over time", "ms, logarithmic; by the second a request was due", isLog: true)
        {
            Series =
            [
                OverTime(result, "p50", Green, s => s.Latency.Quantile(0.5) / 1000.0),
                OverTime(result, "p99", Blue, s => s.Latency.Quantile(0.99) / 1000.0),
                OverTime(result, "longest", Red, s => s.Latency.Max / 1000.0),
            ],
            Marks = marks,
        };
        yield return new Chart("Requests", "a second")
        {
            Series =
            [
                OverTime(result, "due", Grey, s => s.Due),
                OverTime(result, "as expected", Green, s => s.Expected),
                OverTime(result, "not as expected", Red, s => s.Failed),
                OverTime(result, "while the server was away", Orange, s => s.Away),
            ],
            Marks = marks,
        };
        if (result.Samples.Count > 0)
        {
            yield return Process(result, "Its CPU", "% of one core", marks, ("CPU", Blue, s => s.CpuPercent));
            yield return Process(result, "Its memory", "MiB", marks,
                ("resident", Blue, s => s.ResidentMib), ("anonymous", Orange, s => s.AnonymousMib));
            yield return Process(result, "Its threads and descriptors", "number", marks,
                ("threads", Blue, s => s.Threads), ("descriptors", Orange, s => s.Descriptors));
        }

        yield return new Chart("The generator's own lateness", string.Create(
            CultureInfo.InvariantCulture, $"ms; above {result.LagMaxMs:0.#} ms at p99 the run is void"))
        {
            Series = [OverTime(result, "send lag p99", Grey, s => s.Lag.Quantile(0.99) / 1000.0)],
        };
    }

    private static Series ByShare(LoadResult result, string name, string color)
    {
        LatencyHistogram latency = result.Latency;
        return new Series(name, color,
            [.. s_shares.Select((q, i) => ((double)i, latency.Quantile(q) / 1000.0))]);
    }

    private static Series OverTime(LoadResult result, string name, string color, Func<LoadSecond, double> value) =>
        new(name, color, [.. result.Seconds.OrderBy(s => s.Second).Select(s => ((double)s.Second, value(s)))]);

    private static Chart Process(
        LoadResult result, string title, string unit, IReadOnlyList<Mark> marks,
        params (string Name, string Color, Func<ProcessSample, double> Value)[] lines) => new(title, unit)
        {
            Series =
            [
                .. lines.Select(l => new Series(
                    l.Name, l.Color, [.. result.Samples.Select(s => (s.Second, l.Value(s)))])),
            ],
            Marks = marks,
        };

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private const string Style = """
        body{font:15px/1.45 system-ui,sans-serif;max-width:1200px;margin:24px auto;padding:0 16px;color:#1f2328;background:#fff}
        h1{font-size:24px}h1 span{font-size:15px;padding:3px 10px;border-radius:12px;color:#fff;vertical-align:middle}
        .good{background:#1a7f37}.bad{background:#d1242f}.void{background:#9a6700}.small{color:#59636e;font-size:13px}
        table{border-collapse:collapse;margin:12px 0 20px}td,th{padding:4px 18px 4px 0;text-align:left;border-bottom:1px solid #d1d9e0}
        td:nth-child(2),td:nth-child(3){font-variant-numeric:tabular-nums}.trouble{color:#d1242f;font-family:monospace}
        figure{margin:0 0 18px}figcaption{font-weight:600}figcaption small{font-weight:400;color:#59636e}
        svg{width:100%;height:auto;background:#f6f8fa;border-radius:6px}svg text{font-size:12px;fill:#59636e}
        svg .y{text-anchor:end}svg .x{text-anchor:middle}svg .grid{stroke:#d1d9e0}svg line.mark{stroke:#bc4c00;stroke-dasharray:4 3}
        svg text.mark{fill:#bc4c00}polyline{fill:none;stroke-width:1.6}
        """;
}
