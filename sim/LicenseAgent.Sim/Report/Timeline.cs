using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Report;

/// <summary>
/// A stretch of a run as a picture: a lane for each till with what it showed of itself, what was wrong, its clocks, what
/// it was asked and what it asked; the server's lane below; findings as lines across. Of one till alone also every
/// message.
/// </summary>
/// <param name="isWhole">Of the whole run: too many messages are not drawn at all, where else the last ones are.</param>
internal sealed class Timeline(
    RunOutcome run, long fromUs, long toUs, IReadOnlyList<string> nodes, bool isWhole = false)
{
    private const int LaneHeight = 142;
    private const int ServerHeight = 46;
    private const int MessagesHeight = 56;
    private const int Top = 26;
    private const int FindingsMax = 20;

    private readonly Canvas _canvas = new(fromUs, toUs);
    private readonly ILookup<string, Happening> _own = run.History.Where(h => nodes.Contains(h.Node)).ToLookup(h => h.Node);
    private readonly Dictionary<int, long> _ends = EndsOf(run);

    public string Draw()
    {
        bool hasMessages = nodes.Count == 1 && (!isWhole || MessageLines.Fit(_own[nodes[0]]));
        int server = Top + (nodes.Count * LaneHeight) + (hasMessages ? MessagesHeight : 0);
        int height = server + ServerHeight + 10;
        Axis(height);
        for (int i = 0; i < nodes.Count; i++)
        {
            Lane(nodes[i], Top + (i * LaneHeight));
        }

        ServerLane(server);
        if (hasMessages)
        {
            new MessageLines(_canvas, Top + LaneHeight - 8, server + 10).Draw([.. _own[nodes[0]]]);
        }

        foreach (Violation violation in run.Violations.Where(v => nodes.Contains(v.Node)).Take(FindingsMax))
        {
            Finding(violation, Top + (nodes.ToList().IndexOf(violation.Node) * LaneHeight));
        }

        return _canvas.Picture(height);
    }

    private void Finding(Violation violation, int y)
    {
        long at = Math.Min(violation.AtUs, run.History[^1].AtUs);
        if (_canvas.Shows(at, at))
        {
            double x = _canvas.X(at);
            _canvas.Line("finding", x, y, x, y + LaneHeight - 6, VirtualTime.Line(violation));
            _canvas.Text("id", Math.Min(x + 3, Canvas.Left + Canvas.Width - 22), y + 11, violation.Id);
        }
    }

    private void Axis(int height)
    {
        const int Ticks = 8;
        for (int i = 0; i <= Ticks; i++)
        {
            long at = fromUs + ((toUs - fromUs) * i / Ticks);
            double x = _canvas.X(at);
            _canvas.Line("grid", x, 18, x, height - 8, "");
            _canvas.Text(i == Ticks ? "time last" : "time", i == Ticks ? x + 8 : x, 13, VirtualTime.Text(at)[..^4]);
        }
    }

    private void Lane(string node, int y)
    {
        foreach ((int at, string label) in ((int, string)[])
        [
            (30, "mode"), (48, "ACTIVE"), (63, "PENDING"), (78, "answers"), (102, "clocks"), (130, "server"),
        ])
        {
            _canvas.Text("label", Canvas.Left - 4, y + at, label);
        }

        _canvas.Text("node", 4, y + 30, node);
        Happening[] own = [.. _own[node]];
        Faults(node, y + 2, LaneHeight - 8, names: y + 10);
        Seen[] shown = [.. own.OfType<Seen>()];
        Bands(shown, s => s.Lock.Length > 0 ? $"{s.Mode} {s.Lock}" : s.Mode, s => "m" + s.Mode, y + 20, 14);
        Bands(shown, s => s.Active == 0 ? "" : $"v{s.Active}", s => "a" + (s.Active % 4), y + 38, 12);
        Bands(shown, s => s.Pending == 0 ? "" : $"v{s.Pending}", _ => "pending", y + 54, 10);
        Dead(own, y + 20);
        Ticks("good", y + 70, 9, own.OfType<Validated>().Where(v => v.Reason == "VALID"));
        Ticks("bad", y + 70, 9, own.OfType<Validated>().Where(v => v.Reason != "VALID"));
        ClockLane.Draw(_canvas, own, y + 86, 26);
        Ticks("sent", y + 122, 9, own.OfType<Received>().Where(r => r.Verdict == "ok"));
        Ticks("refused", y + 122, 9, own.OfType<Received>().Where(r => r.Verdict != "ok"));
        Ticks("forged", y + 122, 9, own.OfType<AnswerJudged>().Where(a => a.Kind != "None"));
        Ticks("confirm", y + 54, 10, own.OfType<ConfirmLeft>());
        Ticks("order", y + 4, 12, own.OfType<Ordered>());
    }

    private void ServerLane(int y)
    {
        _canvas.Box("lane", Canvas.Left, y + 10, Canvas.Width, 18, "the server");
        _canvas.Text("node", 4, y + 22, "server");
        Faults("", y + 2, ServerHeight - 8, names: y + 36);
        Happening[] all = [.. run.History.Where(h => nodes.Contains(h.Node))];
        Ticks("sent", y + 12, 14, all.OfType<VersionChanged>());
        Ticks("bad", y + 12, 14, all.OfType<Revoked>());
    }

    private void Ticks(string style, int y, int height, IEnumerable<Happening> marks) =>
        _canvas.Ticks(style, y, height, marks.Select(h => (h.AtUs, new Func<string>(() => HappeningText.Of(h)))));

    /// <summary>Shaded while they last; one that never ended lasts to the end.</summary>
    private void Faults(string node, int y, int height, int names)
    {
        // Names where there is room for them; the rest shows when it is pointed at.
        double[] taken = [0, 0];
        foreach (FaultBegan began in run.History.OfType<FaultBegan>().Where(f => f.Node == node))
        {
            long end = _ends.GetValueOrDefault(began.Fault, toUs);
            if (!_canvas.Shows(began.AtUs, end))
            {
                continue;
            }

            double x = _canvas.X(began.AtUs);
            _canvas.Box("fault", x, y, Math.Max(2, _canvas.X(end) - x), height,
                $"{began.Kind} {VirtualTime.Text(began.AtUs)} to {VirtualTime.Text(end)}");
            int row = Array.FindIndex(taken, t => t <= x);
            if (row >= 0)
            {
                _canvas.Text("kind", x + 2, names + (row * 8), began.Kind);
                taken[row] = x + 4 + (began.Kind.Length * 5);
            }
        }
    }

    private void Bands(Seen[] shown, Func<Seen, string> text, Func<Seen, string> style, int y, int height)
    {
        double drawn = 0;
        for (int i = 0; i < shown.Length;)
        {
            int end = i + 1;
            while (end < shown.Length && text(shown[end]) == text(shown[i]))
            {
                end++;
            }

            long until = end < shown.Length ? shown[end].AtUs : toUs;
            double x = _canvas.X(shown[i].AtUs), wide = _canvas.X(until) - x;

            // What ends within the pixel in which another one ended is not seen.
            if (text(shown[i]).Length > 0 && _canvas.Shows(shown[i].AtUs, until) && x + wide >= drawn + 1)
            {
                drawn = x + wide;
                _canvas.Box(style(shown[i]), x, y, Math.Max(1, wide), height,
                    $"{text(shown[i])} from {VirtualTime.Text(shown[i].AtUs)}");
                if (wide > text(shown[i]).Length * 6)
                {
                    _canvas.Text("in", x + 2, y + height - 3, text(shown[i]));
                }
            }

            i = end;
        }
    }

    /// <summary>No process runs.</summary>
    private void Dead(Happening[] own, int y)
    {
        long? since = null;
        double drawn = 0;
        foreach (Happening h in own.Where(h => h is Started or Ended))
        {
            if (h is Ended)
            {
                since ??= h.AtUs;
            }
            else if (since is { } from)
            {
                Gap(from, h.AtUs);
                since = null;
            }
        }

        if (since is { } open)
        {
            Gap(open, toUs);
        }

        void Gap(long from, long to)
        {
            double x = _canvas.X(from);
            if (_canvas.Shows(from, to) && x >= drawn)
            {
                drawn = Math.Max(x + 2, _canvas.X(to));
                _canvas.Box("dead", x, y, drawn - x, 44, $"no process, {VirtualTime.Text(from)} to {VirtualTime.Text(to)}");
            }
        }
    }

    private static Dictionary<int, long> EndsOf(RunOutcome run)
    {
        Dictionary<int, long> ends = [];
        foreach (FaultEnded ended in run.History.OfType<FaultEnded>())
        {
            ends.TryAdd(ended.Fault, ended.AtUs);
        }

        return ends;
    }
}
