using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Checkers;

/// <summary>
/// Service ends by the effective end of ACTIVE in trusted time. Whatever is done to clocks, power and files, trusted now
/// is behind the truth by no more than the till was off or asleep since its last contact, and by what clocks drift.
/// </summary>
internal sealed class DegradedEnds : Checker
{
    private const long SlackMs = 180_000;

    // A clock that leads by less is believed, once a start (agent.md §4); one further ahead after so long without
    // contact.
    private const long AheadMaxMs = 48L * 3_600_000;
    private const long RunningMs = 48L * 3_600_000;

    public override string Id => "I14";

    public override string Claim => "Trusted now falls behind by time off, and by nothing else";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            // With an old or no run state the high-water goes back to the last generation (agent.md §4); a wrong server
            // clock is believed by design. A disk that is only slow keeps what it is given.
            Excuse excuse = new([
                .. FaultKinds.Tampering.Except(FaultKinds.LogTampering), FaultKinds.ServerSkew,
                .. FaultKinds.Disk.Except([FaultKinds.DiskStall]),
            ]);
            OffTime off = new();
            bool contacted = false;
            foreach (Happening h in run.Of(node))
            {
                off.On(h);
                excuse.On(h);
                contacted |= h is AnswerJudged { Kind: "None" };
                if (h is Seen seen && contacted && !excuse.Holds && !OffTime.HasNoTime(seen))
                {
                    Judge(run);
                    long behind = SimServer.At(seen.AtUs).UnixMs - seen.TrustedMs;
                    long drift = Math.Abs(run.Plan.Knobs.DriftPpm) * off.SinceContactMs / 1_000_000;
                    if (-behind > SlackMs + AheadMaxMs * (1 + off.Starts) + drift && off.SinceContactMs < RunningMs)
                    {
                        yield return Broken(seen, $"trusted now is {-behind / 1000} s ahead of the truth");
                    }

                    if (behind > SlackMs + off.LostMs + drift)
                    {
                        yield return Broken(seen, $"trusted now is {behind / 1000} s behind the truth, "
                            + $"{(off.LostMs + drift) / 1000} s are explained");
                    }
                }
            }
        }
    }
}

/// <summary>A revocation, a suspension that a till reported to have is acted upon at every later moment.</summary>
internal sealed class LevelsAreKept : Checker
{
    public override string Id => "I17";

    public override string Claim => "A durable revocation is never forgotten";

    public override IReadOnlyList<string> Profiles => ["rotation", "swarm", "ipc"];

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new([.. FaultKinds.Tampering.Except(FaultKinds.LogTampering), .. FaultKinds.Disk]);
            Dictionary<string, long> revoked = new(StringComparer.Ordinal);
            long held = 0;
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                switch (h)
                {
                    case Revoked r: revoked[r.License] = r.ListVersion; break;
                    case Reported r: held = excuse.Holds ? r.RevocationsVersion : Math.Max(held, r.RevocationsVersion); break;
                    case Validated { Status: 200 } v when !excuse.Holds
                        && revoked.TryGetValue(v.License, out long list) && list <= held:
                        Judge(run);
                        if (v.Reason == "VALID")
                        {
                            yield return Broken(v, $"{v.License} is VALID and was revoked in list {list}; "
                                + $"the till had reported list {held}");
                        }

                        break;
                }
            }
        }
    }
}

/// <summary>A till that heard that it is suspended serves nothing until it hears otherwise.</summary>
internal sealed class OrdersAreKept : Checker
{
    public override string Id => "I17b";

    public override string Claim => "A suspension that was heard holds, over crashes, until it is lifted";

    public override IReadOnlyList<string> Profiles => ["rotation", "swarm", "ipc"];

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new([
                .. FaultKinds.Tampering.Except(FaultKinds.LogTampering), FaultKinds.OlderFormat,
                .. FaultKinds.Disk, .. FaultKinds.AnotherTpm,
            ]);
            Levels levels = new();
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                levels.On(h);
                if (excuse.Holds || h is Ordered { What: OrderKinds.Resume } or Healed)
                {
                    levels.Forget();
                }

                if (h is Validated { Status: 200 } v && levels.Heard is { Suspended: true })
                {
                    Judge(run);
                    if (v.Reason == "VALID")
                    {
                        yield return Broken(v, $"{v.License} is VALID at a till that knows it is suspended");
                    }
                }
            }
        }
    }
}

/// <summary>One answer or a closed connection, by a deadline.</summary>
internal sealed class EveryCallAnswered : Checker
{
    // A call that was made while the machine stood still or its disk was slow.
    private const long WithinUs = 60_000_000;

    public override string Id => "I24";

    public override string Claim => "Every call of an application is answered by its deadline";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new(FaultKinds.DiskStall, FaultKinds.Suspend, FaultKinds.Pause);
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                Judge(run, h is Validated ? 1 : 0);
                if (h is Unanswered call && (excuse.LastUs == 0 || call.AtUs - excuse.LastUs > WithinUs))
                {
                    yield return Broken(call, $"{call.Path} had no answer within its time");
                }
            }
        }
    }
}

/// <summary>After an outage of the server the fleet does not come back in step.</summary>
internal sealed class LoadAfterOutage : Checker
{
    // Below this many tills the law of large numbers says nothing.
    private const int TillsMin = 200;
    private const long WindowUs = 60_000_000;

    public override string Id => "I25";

    public override string Claim =>
        "After an outage the request rate stays at most 1.2 times the steady one, and four standard deviations of a minute's";

    public override IReadOnlyList<string> Profiles => ["fleet"];

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        if (run.Plan.Tills < TillsMin)
        {
            yield break;
        }

        foreach (FaultEnded over in run.History.OfType<FaultEnded>().Where(f => f.Kind == FaultKinds.ServerDown))
        {
            long checkInUs = run.Plan.Knobs.CheckInS * 1_000_000L;
            double steady = (double)run.Plan.Tills * WindowUs / checkInUs;
            var worst = run.History.OfType<Received>()
                .Where(r => r.AtUs >= over.AtUs && r.AtUs < over.AtUs + (4 * checkInUs))
                .GroupBy(r => (r.AtUs - over.AtUs) / WindowUs)
                .Select(g => (Minute: g.Key, Count: g.Count())).OrderByDescending(g => g.Count).FirstOrDefault();
            Judge(run);
            double allowed = (steady * 1.2) + (4 * Math.Sqrt(steady));
            if (worst.Count > allowed)
            {
                yield return Broken(over, $"{worst.Count} requests in minute {worst.Minute} after the outage, "
                    + $"{steady:f0} are steady");
            }
        }
    }
}
