using System.Text.RegularExpressions;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Report;

/// <summary>One line of a slice.</summary>
/// <param name="Tie">What ties it to the finding; empty: it only stands beside it.</param>
/// <param name="Depth">0: the finding itself; 1: shares something with it; from 2 on with what does.</param>
/// <param name="More">So many like it follow it and are left out.</param>
internal sealed record SliceLine(Happening What, string Tie, int Depth, int More = 0);

/// <summary>
/// What led to a finding: from it backwards, whatever shares a version, a license, a nonce, an operation or a message
/// with it, and the operations, messages and nonces of that in turn; the faults that were open; the processes, modes and
/// orders between.
/// </summary>
internal sealed partial class CausalSlice
{
    private const int LookedThroughMax = 50_000;
    private const int TiedMax = 400;
    private const int LinesMax = 120;
    private const int DepthMax = 3;
    private const string OpenFault = "open fault";
    private const int BesideBefore = 6;
    private const int BesideAfter = 4;

    private readonly Happening[] _all;
    private readonly Marks _marks;
    private readonly int _at;
    private readonly Violation _finding;
    private readonly SortedDictionary<int, (string Tie, int Depth)> _taken = [];

    private CausalSlice(RunOutcome run, Violation finding)
    {
        _finding = finding;
        bool anywhere = !finding.Node.StartsWith("till-", StringComparison.Ordinal);
        Happening[] all =
        [
            .. run.History.Where(h => anywhere || h.Node == finding.Node || h is Healed
                || (h.Node.Length == 0 && h is FaultBegan or FaultEnded)),
        ];
        int at = Array.FindLastIndex(all, h => h.AtUs <= finding.AtUs);
        int begin = Math.Max(0, at - LookedThroughMax);
        _all = all[begin..Math.Min(all.Length, at + 1 + BesideAfter)];
        _marks = new Marks(_all);
        _at = Trigger(at - begin);
    }

    /// <summary>How many lines were left out, those of the loosest ties and of long ago.</summary>
    public int LeftOut { get; private set; }

    public IReadOnlyList<SliceLine> Lines { get; private set; } = [];

    public static CausalSlice Of(RunOutcome run, Violation finding)
    {
        CausalSlice slice = new(run, finding);
        if (slice._all.Length > 0)
        {
            slice.Tie();
            slice.Frame();
            slice.Lines = slice.Written();
        }

        return slice;
    }

    /// <summary>Of what happened at the finding's time what it speaks of most; the last, where that says nothing.</summary>
    private int Trigger(int last)
    {
        HashSet<string> named = [.. NamedIn(_finding.Message)];
        return Enumerable.Range(0, last + 1).Reverse()
            .TakeWhile(i => _all[i].AtUs == _finding.AtUs).Where(i => _all[i].Node == _finding.Node)
            .DefaultIfEmpty(Math.Max(0, last)).MaxBy(i => _marks.Of(i).Count(named.Contains));
    }

    private void Tie()
    {
        _taken[_at] = ("", 0);
        HashSet<string> named = [.. NamedIn(_finding.Message)];
        HashSet<string> own = [.. _all[_at].AtUs == _finding.AtUs ? _marks.Of(_at) : []];

        // What the finding itself names is followed; the rest of what it was found at only where it names nothing.
        HashSet<string> ties = named.Count > 0 ? named : own;
        for (int depth = 1; depth <= DepthMax && ties.Count > 0; depth++)
        {
            HashSet<string> more = TieTo(ties, depth);

            // What was looked for already need not be looked for again.
            more.ExceptWith(ties);
            ties = more;
        }

        TieTo(own, DepthMax);
    }

    /// <returns>What leads on from what was tied.</returns>
    private HashSet<string> TieTo(HashSet<string> ties, int depth)
    {
        HashSet<string> more = [];
        for (int i = _at; i >= 0 && _taken.Count < TiedMax; i--)
        {
            if (!_taken.ContainsKey(i) && _marks.Of(i).FirstOrDefault(ties.Contains) is { } tie)
            {
                _taken[i] = (tie, depth);
                more.UnionWith(_marks.LeadingOnFrom(i));
            }
        }

        return more;
    }

    /// <summary>What stood open, and what became of processes, modes and orders between the first tie and the finding.</summary>
    private void Frame()
    {
        int first = _taken.Keys.First();
        HashSet<int> over = [];
        Seen? after = null;
        int afterAt = -1;
        for (int i = _at; i >= 0; i--)
        {
            switch (_all[i])
            {
                case FaultEnded ended:
                    over.Add(ended.Fault);
                    Take(i, "fault", i >= first);
                    break;
                case FaultBegan began:
                    bool isOpen = !over.Contains(began.Fault);
                    Take(i, isOpen ? OpenFault : "fault", isOpen || i >= first);
                    break;
                case Started or Ended: Take(i, "process", i >= first); break;
                case Ordered or Healed or CloneSuspected or NewerFormatLeft: Take(i, "order", i >= first); break;
                case Seen seen:
                    bool changed = after is not null && (after.Mode, after.Lock, after.Active, after.Pending)
                        != (seen.Mode, seen.Lock, seen.Active, seen.Pending);
                    Take(afterAt, "mode", changed && afterAt >= first);
                    (after, afterAt) = (seen, i);
                    break;
            }
        }

        for (int i = Math.Max(0, _at - BesideBefore); i < _all.Length; i++)
        {
            Take(i, "", when: true);
        }
    }

    private void Take(int i, string tie, bool when)
    {
        if (when)
        {
            _taken.TryAdd(i, (tie, DepthMax + 1));
        }
    }

    /// <summary>In order; validations that came to the same are one line as long as nothing else happens.</summary>
    private List<SliceLine> Written()
    {
        List<SliceLine> lines = [];
        Dictionary<string, int> alike = new(StringComparer.Ordinal);
        foreach ((int i, (string tie, int depth)) in _taken)
        {
            if (_all[i] is not Validated v || depth == 0)
            {
                alike.Clear();
                lines.Add(new SliceLine(_all[i], tie, depth));
            }
            else if (alike.TryGetValue($"{v.License} {v.TokenVersion} {v.Status} {v.Reason} {v.Mode}", out int line))
            {
                lines[line] = lines[line] with { More = lines[line].More + 1 };
            }
            else
            {
                alike.Add($"{v.License} {v.TokenVersion} {v.Status} {v.Reason} {v.Mode}", lines.Count);
                lines.Add(new SliceLine(v, tie, depth));
            }
        }

        // What is tied closely, or was open, may be long ago and matters all the same.
        HashSet<SliceLine> kept =
        [
            .. lines.OrderBy(Rank).ThenByDescending(l => l.What.AtUs).Take(LinesMax),
        ];
        LeftOut = lines.Count - kept.Count;
        return [.. lines.Where(kept.Contains)];
    }

    private static int Rank(SliceLine line) => line switch
    {
        { Depth: < DepthMax } or { Tie: "" or OpenFault } => 0,
        { Depth: > DepthMax } => 1,
        _ => 2,
    };

    private static IEnumerable<string> NamedIn(string message) => Named().Matches(message)
        .Select(m => m.Groups["v"].Success ? $"v{m.Groups["v"].Value}" : m.Value);

    /// <summary>Versions, licenses and nonces as findings write them.</summary>
    [GeneratedRegex(
        @"\b(?:v|version |below |ACTIVE is )(?<v>\d+)\b|\blic-[a-z0-9-]+|(?<![\w-])[\w-]{22}(?![\w-])",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant)]
    private static partial Regex Named();
}
