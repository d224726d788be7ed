using System.Globalization;
using System.Net;
using System.Text;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Report;

/// <summary>
/// A stretch of a run as a picture: a lane for each till with what it showed of itself, what was wrong, what it was asked
/// and what it asked; the server's lane below; findings as lines across.
/// </summary>
internal sealed class Timeline(RunOutcome run, long fromUs, long toUs, IReadOnlyList<string> nodes)
{
    private const int Left = 96;
    private const int Width = 1_240;
    private const int LaneHeight = 118;
    private const int ServerHeight = 46;
    private const int Top = 26;

    private readonly StringBuilder _svg = new();

    public string Draw()
    {
        int height = Top + (nodes.Count * LaneHeight) + ServerHeight + 10;
        Text($"<svg viewBox=\"0 0 {Left + Width + 10} {height}\" width=\"{Left + Width + 10}\" height=\"{height}\">");
        Axis(height);
        for (int i = 0; i < nodes.Count; i++)
        {
            Lane(nodes[i], Top + (i * LaneHeight));
        }

        ServerLane(Top + (nodes.Count * LaneHeight));
        foreach (Violation violation in run.Violations.Where(v => nodes.Contains(v.Node)).Take(20))
        {
            int y = Top + (Math.Max(0, nodes.ToList().IndexOf(violation.Node)) * LaneHeight);
            double x = X(Math.Min(violation.AtUs, run.History[^1].AtUs));
            if (violation.AtUs >= fromUs && x <= Left + Width + 1)
            {
                Text($"<line class=\"finding\" x1=\"{N(x)}\" x2=\"{N(x)}\" y1=\"{y}\" y2=\"{y + LaneHeight - 6}\">"
                    + $"<title>{Safe(VirtualTime.Line(violation))}</title></line>"
                    + $"<text class=\"id\" x=\"{N(Math.Min(x + 3, Left + Width - 22))}\" y=\"{y + 11}\">{violation.Id}</text>");
            }
        }

        return _svg.Append("</svg>\n").ToString();
    }

    private void Axis(int height)
    {
        const int Ticks = 8;
        for (int i = 0; i <= Ticks; i++)
        {
            long at = fromUs + ((toUs - fromUs) * i / Ticks);
            Text($"<line class=\"grid\" x1=\"{N(X(at))}\" x2=\"{N(X(at))}\" y1=\"18\" y2=\"{height - 8}\"/>"
                + $"<text class=\"time\" x=\"{N(X(at))}\" y=\"13\">{VirtualTime.Text(at)[..^4]}</text>");
        }
    }

    private void Lane(string node, int y)
    {
        Text($"<text class=\"node\" x=\"4\" y=\"{y + 30}\">{node}</text>");
        Label(y + 30, "mode");
        Label(y + 48, "ACTIVE");
        Label(y + 63, "PENDING");
        Label(y + 78, "answers");
        Label(y + 92, "server");
        Label(y + 107, "trusted");
        Faults(node, y + 2, LaneHeight - 8);
        Seen[] shown = [.. run.History.OfType<Seen>().Where(s => s.Node == node)];
        Bands(shown, s => s.Lock.Length > 0 ? $"{s.Mode} {s.Lock}" : s.Mode, s => "m" + s.Mode, y + 20, 14);
        Bands(shown, s => s.Active == 0 ? "" : $"v{s.Active}", s => "a" + (s.Active % 4), y + 38, 12);
        Bands(shown, s => s.Pending == 0 ? "" : $"v{s.Pending}", _ => "pending", y + 54, 10);
        Dead(node, y + 20);
        foreach (Happening h in run.History.Where(h => h.Node == node))
        {
            switch (h)
            {
                case Validated v: Tick(v, y + 70, 9, v.Reason == "VALID" ? "good" : "bad"); break;
                case Received r: Tick(r, y + 84, 9, r.Verdict == "ok" ? "sent" : "refused"); break;
                case AnswerJudged { Kind: not "None" } a: Tick(a, y + 84, 9, "forged"); break;
                case ConfirmLeft c: Tick(c, y + 54, 10, "confirm"); break;
                case Ordered o: Tick(o, y + 4, 12, "order"); break;
            }
        }

        TrustedTime(shown, y + 97, 14);
    }

    private void ServerLane(int y)
    {
        Text($"<text class=\"node\" x=\"4\" y=\"{y + 22}\">server</text>");
        Faults("", y + 2, ServerHeight - 8);
        foreach (Happening h in run.History.Where(h => h is VersionChanged or Revoked && nodes.Contains(h.Node)))
        {
            Tick(h, y + 12, 14, h is Revoked ? "bad" : "sent");
        }
    }

    /// <summary>Shaded while they last; one that never ended lasts to the end.</summary>
    private void Faults(string node, int y, int height)
    {
        int number = 0;
        foreach (FaultBegan began in run.History.OfType<FaultBegan>().Where(f => f.Node == node))
        {
            long end = run.History.OfType<FaultEnded>().FirstOrDefault(f => f.Fault == began.Fault)?.AtUs ?? toUs;
            if (began.AtUs > toUs || end < fromUs)
            {
                continue;
            }

            double x = X(began.AtUs);
            Text($"<rect class=\"fault\" x=\"{N(x)}\" y=\"{y}\" width=\"{N(Math.Max(2, X(end) - x))}\" height=\"{height}\">"
                + $"<title>{Safe(began.Kind)} {VirtualTime.Text(began.AtUs)} to {VirtualTime.Text(end)}</title></rect>"
                + $"<text class=\"kind\" x=\"{N(x + 2)}\" y=\"{y + 8 + (number++ % 2 * 8)}\">{Safe(began.Kind)}</text>");
        }
    }

    private void Bands(Seen[] shown, Func<Seen, string> text, Func<Seen, string> style, int y, int height)
    {
        for (int i = 0; i < shown.Length;)
        {
            int end = i + 1;
            while (end < shown.Length && text(shown[end]) == text(shown[i]))
            {
                end++;
            }

            long until = end < shown.Length ? shown[end].AtUs : toUs;
            if (text(shown[i]).Length > 0 && until >= fromUs && shown[i].AtUs <= toUs)
            {
                double x = X(shown[i].AtUs), wide = X(until) - x;
                Text($"<rect class=\"{style(shown[i])}\" x=\"{N(x)}\" y=\"{y}\" width=\"{N(Math.Max(1, wide))}\" height=\"{height}\">"
                    + $"<title>{Safe(text(shown[i]))} from {VirtualTime.Text(shown[i].AtUs)}</title></rect>");
                if (wide > text(shown[i]).Length * 6)
                {
                    Text($"<text class=\"in\" x=\"{N(x + 2)}\" y=\"{y + height - 3}\">{Safe(text(shown[i]))}</text>");
                }
            }

            i = end;
        }
    }

    /// <summary>No process runs.</summary>
    private void Dead(string node, int y)
    {
        long? since = null;
        foreach (Happening h in run.History.Where(h => h.Node == node && h is Started or Ended))
        {
            if (h is Ended)
            {
                since ??= h.AtUs;
            }
            else if (since is { } from)
            {
                Gap(from, h.AtUs, y);
                since = null;
            }
        }

        if (since is { } open)
        {
            Gap(open, toUs, y);
        }
    }

    private void Gap(long from, long to, int y)
    {
        if (from <= toUs && to >= fromUs)
        {
            Text($"<rect class=\"dead\" x=\"{N(X(from))}\" y=\"{y}\" width=\"{N(Math.Max(2, X(to) - X(from)))}\" height=\"44\">"
                + $"<title>no process, {VirtualTime.Text(from)} to {VirtualTime.Text(to)}</title></rect>");
        }
    }

    /// <summary>Trusted now against the truth; the largest difference fills the strip.</summary>
    private void TrustedTime(Seen[] shown, int y, int height)
    {
        (double X, double Off)[] points =
        [
            .. shown.Where(s => s.AtUs >= fromUs && s.AtUs <= toUs && s.Lock != "starting")
                .Select(s => (X(s.AtUs), (s.TrustedMs - SimServer.At(s.AtUs).UnixMs) / 1_000.0)),
        ];
        if (points.Length == 0)
        {
            return;
        }

        double most = Math.Max(1, points.Max(p => Math.Abs(p.Off)));
        string line = string.Join(' ', points.Select(p => $"{N(p.X)},{N(y + (height / 2.0) - (p.Off / most * height / 2))}"));
        Text($"<polyline class=\"clock\" points=\"{line}\"><title>up to {N(most)} s from the truth</title></polyline>");
        Text($"<text class=\"kind\" x=\"{Left + Width - 60}\" y=\"{y + 8}\">± {N(most)} s</text>");
    }

    private void Tick(Happening h, int y, int height, string style)
    {
        if (h.AtUs >= fromUs && h.AtUs <= toUs)
        {
            Text($"<rect class=\"{style}\" x=\"{N(X(h.AtUs) - 1)}\" y=\"{y}\" width=\"2\" height=\"{height}\">"
                + $"<title>{VirtualTime.Text(h.AtUs)} {Safe(HappeningText.Of(h))}</title></rect>");
        }
    }

    private void Label(int y, string text) => Text($"<text class=\"label\" x=\"{Left - 4}\" y=\"{y}\">{text}</text>");

    private double X(long us) =>
        Left + (Math.Clamp((us - fromUs) / (double)Math.Max(1, toUs - fromUs), 0, 1) * Width);

    private void Text(string svg) => _svg.Append(svg).Append('\n');

    private static string N(double number) => number.ToString("0.##", CultureInfo.InvariantCulture);

    private static string Safe(string text) => WebUtility.HtmlEncode(text);
}
