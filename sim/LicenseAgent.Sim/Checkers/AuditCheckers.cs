using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Checkers;

/// <summary>
/// Every log is one chain without gaps, whatever crashed, and what it loses by age is as old as it was to be kept.
/// </summary>
internal sealed class ChainHolds : Checker
{
    // As the agent is shipped.
    private const long RetentionS = 90 * 86_400;

    // Trusted now is ahead of the truth by no more, where nobody plays with clocks.
    private const long AheadS = 180;

    public override string Id => "I18";

    public override string Claim => "The log is gapless, chained and never rewritten";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (LogAtEnd log in run.Logs.Where(l => !run.Had(l.Node, FaultKinds.LogTampering)))
        {
            Judge(run);
            foreach (string wrong in WrongIn(log))
            {
                yield return new Violation(Id, long.MaxValue, log.Node, wrong);
            }
        }

        // A run state that could not be saved, or was put back, costs hours of trusted time (agent.md §4).
        string[] excuses =
            [.. FaultKinds.Clock, FaultKinds.ServerSkew, .. FaultKinds.Disk, .. FaultKinds.Tampering, FaultKinds.TpmRolledBack];
        long keptS = (run.Plan.Knobs.RetentionS == 0 ? RetentionS : run.Plan.Knobs.RetentionS) - AheadS;
        Dictionary<string, long> contacts = new(StringComparer.Ordinal);
        foreach (Happening h in run.History)
        {
            if (h is AnswerJudged { Kind: "None" })
            {
                contacts[h.Node] = h.AtUs;
            }
            else if (h is LogFileRetired retired)
            {
                Judge(run);

                // A clock that runs fast leads by more the longer nobody sets it right.
                long aloneS = (h.AtUs - contacts.GetValueOrDefault(h.Node)) / 1_000_000;
                long leadS = aloneS * Math.Abs(run.Plan.Knobs.DriftPpm) / 1_000_000;
                if (retired.AgeS < keptS - leadS && !run.Had(retired.Node, excuses))
                {
                    yield return Broken(retired, $"{retired.File} was removed, and its youngest record is {retired.AgeS} s old");
                }
            }
        }
    }

    /// <summary>The first fault of each file: within it, or that nothing it could follow is there or on record.</summary>
    private static IEnumerable<string> WrongIn(LogAtEnd log)
    {
        HashSet<LogPoint> ends = [.. log.Files.Select(f => f.End).OfType<LogPoint>(), .. log.Files.SelectMany(f => f.Retired)];
        foreach (LogFile file in log.Files.Where(f => f.Lines.Count > 0))
        {
            LogLine first = file.Lines[0];
            if (first.Seq != 1 && !ends.Contains(file.Before))
            {
                yield return $"record {first.Seq} ({first.Event}): the chain begins with record {first.Seq}";
            }
            else if (Broken(file) is { } wrong)
            {
                yield return wrong;
            }
        }
    }

    private static string? Broken(LogFile file)
    {
        LogLine? before = null;
        foreach (LogLine line in file.Lines)
        {
            string? wrong = !line.HashRight ? "its hash is not that of its bytes"
                : before is null ? null
                : line.Seq != before.Seq + 1 ? $"record {line.Seq} follows {before.Seq}"
                : !line.Follows ? "it does not name the record before it" : null;
            if (wrong is not null)
            {
                return $"record {line.Seq} ({line.Event}): {wrong}";
            }

            before = line;
        }

        return null;
    }
}

/// <summary>
/// A log that nobody touched never contradicts what the server witnessed, whatever crashed: neither at the next witness,
/// nor at the end, when every record that was shown stands in it.
/// </summary>
internal sealed class HonestLogsAgree : Checker
{
    public override string Id => "I19";

    public override string Claim => "An honest power cut never looks like tampering, and what was shown of a log stays in it";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            // Files of an enrolment before the present one bring back its chain, which is not the witnessed one.
            bool tampered = run.Had(node, FaultKinds.LogTampering)
                || (run.Had(node, FaultKinds.DiskRestored, FaultKinds.TpmRolledBack)
                    && run.Had(node, FaultKinds.AnotherTpm));
            if (!tampered)
            {
                WitnessGiven[] given = [.. run.Of(node).OfType<WitnessGiven>()];
                foreach (WitnessGiven w in Judge(run, given, w => w.Conflict))
                {
                    yield return Broken(w, $"the server saw another log at record {w.Seq}, and nobody touched it");
                    break;
                }

                if (run.Logs.FirstOrDefault(l => l.Node == node) is { } log && Lost(log, given) is { } lost)
                {
                    yield return Broken(lost, $"record {lost.Seq} was shown to the server and is not in the log");
                }
            }
        }
    }

    /// <summary>The first record that was shown and is in no file. Of a log that has lost files by age nothing is said.</summary>
    private static WitnessGiven? Lost(LogAtEnd log, IEnumerable<WitnessGiven> given)
    {
        if (log.Files.Any(f => f.Retired.Count > 0))
        {
            return null;
        }

        HashSet<(long, Digest32)> there = [.. log.Lines.Select(l => (l.Seq, l.Head))];
        return given.FirstOrDefault(w => w.Seq > 0 && !there.Contains((w.Seq, w.Head)));
    }
}

/// <summary>What became ACTIVE at the server was staged at the till, and its log says so, once.</summary>
internal sealed class TransitionsRecorded : Checker
{
    public override string Id => "I20";

    public override string Claim => "Each security transition has exactly one record, durable before its effect shows";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (Violation early in ConfirmsWithoutRecord(run))
        {
            yield return early;
        }

        string[] excuses = [.. FaultKinds.Disk.Except([FaultKinds.DiskFailsOnce]), .. FaultKinds.LogTampering];
        foreach (LogAtEnd log in run.Logs.Where(l => !run.Had(l.Node, excuses)))
        {
            LogLine[] lines = [.. log.Lines];
            Dictionary<string, int> staged = lines.Where(l => l.Event == "secret_staged" && l.Op is not null)
                .GroupBy(l => l.Op!).ToDictionary(g => g.Key, g => g.Count());
            long since = Since(log);
            int confirmed = run.Of(log.Node).OfType<Received>().Where(
                r => r.Node == log.Node && r.Action == "confirm-rotation" && r.Verdict == "ok" && r.Version >= since)
                .Select(r => r.Version).Distinct().Count();
            if (staged.Count < confirmed)
            {
                yield return new Violation(Id, long.MaxValue, log.Node,
                    $"{confirmed} versions were confirmed, {staged.Count} are on record as staged");
            }

            foreach (IGrouping<string, LogLine> op in lines
                .Where(l => l.Event == "generation_committed" && l.Outcome == "ok").GroupBy(l => l.Op ?? ""))
            {
                // A record whose fsync failed is in doubt, written again, and may turn out to be there twice.
                int most = run.Had(log.Node, FaultKinds.DiskFailsOnce) ? 2 : 1;
                if (op.Count() > most && !run.Of(log.Node).Any(h => h.Node == log.Node && h is Ended))
                {
                    yield return new Violation(Id, long.MaxValue, log.Node,
                        $"{op.Key} is recorded {op.Count()} times without a crash");
                }
            }
        }
    }

    private IEnumerable<Violation> ConfirmsWithoutRecord(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new([.. FaultKinds.Disk.Except([FaultKinds.DiskStall]), .. FaultKinds.Tampering]);
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                if (h is ConfirmLeft left && !excuse.Holds)
                {
                    Judge(run);
                    if (!left.RecordDurable)
                    {
                        yield return Broken(
                            left, $"the confirm of v{left.Version} left before its staging was durably on record");
                    }
                }
            }
        }
    }

    /// <summary>From which version on the log has to name them all: what was retired is no longer in it.</summary>
    private static long Since(LogAtEnd log) => log.Files.All(f => f.Retired.Count == 0)
        ? 0
        : log.Lines.Where(l => l.Event == "secret_staged").Select(l => l.Version).DefaultIfEmpty(long.MaxValue).Min();
}

/// <summary>
/// While the log cannot be written no secret changes. What was received may wait as PENDING: it is not confirmed, so
/// nothing is made under it, before its staging is on record.
/// </summary>
internal sealed class NoChangeWithoutLog : Checker
{
    // What was on its way when the disk filled up ends.
    private const long UnderWayUs = 120_000_000;

    public override string Id => "I21";

    public override string Claim => "While the log cannot be written secrets do not change";

    public override IReadOnlyList<string> Profiles => ["disk", "ipc", "swarm"];

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            // A disk that is full has no room for the log either.
            HashSet<int> full = [];
            long since = 0;
            Seen? last = null;
            foreach (Happening h in run.Of(node))
            {
                bool isFull = full.Count > 0 && h.AtUs > since + UnderWayUs;
                switch (h)
                {
                    case FaultBegan { Kind: FaultKinds.AuditFull or FaultKinds.DiskFull } began:
                        since = full.Count == 0 ? h.AtUs : since;
                        full.Add(began.Fault);
                        break;
                    case FaultEnded ended: full.Remove(ended.Fault); break;
                    case ConfirmLeft left when isFull:
                        yield return Broken(left, $"v{left.Version} is confirmed without a log");
                        break;
                    case Seen seen:
                        if (isFull && last is { Active: not 0 })
                        {
                            Judge(run);
                            if (seen.Active > last.Active)
                            {
                                yield return Broken(seen, $"ACTIVE went from {last.Active} to {seen.Active} without a log");
                            }
                        }

                        last = seen;
                        break;
                }
            }
        }
    }
}
