using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
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
        // With an old or no run state the high-water goes back to the last generation (agent.md §4); a wrong server
        // clock is believed by design.
        string[] excuses =
        [
            FaultKinds.RunRemoved, FaultKinds.DiskRestored, FaultKinds.StateDamaged, FaultKinds.ServerSkew,
            .. FaultKinds.Disk,
        ];
        foreach (string node in run.Nodes.Where(n => !run.Had(n, excuses)))
        {
            OffTime off = new();
            bool contacted = false;
            foreach (Happening h in run.Of(node))
            {
                off.On(h);
                contacted |= h is AnswerJudged { Kind: "None" };
                if (h is Seen seen && contacted && !OffTime.HasNoTime(seen))
                {
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

/// <summary>After the healing every till is NORMAL within bounded time, and server and till agree.</summary>
internal sealed class ComesBack : Checker
{
    // The run ends at some moment of a rotation.
    private const long UnderWayUs = 60_000_000;

    public override string Id => "I15";

    public override string Claim => "After sane time and contact every agent returns to NORMAL";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        Healed? healed = run.History.OfType<Healed>().LastOrDefault();
        if (healed is null)
        {
            yield break;
        }

        foreach (string node in run.Nodes)
        {
            Seen? last = run.Of(node).OfType<Seen>().LastOrDefault(s => s.Node == node);
            if (last is null || last.AtUs < healed.AtUs)
            {
                yield return new Violation(Id, healed.AtUs + SimWorld.HealUs, node, "nothing runs on this till");
            }
            else if (last.Mode != "NORMAL")
            {
                yield return Broken(last, $"still {last.Mode} {last.Lock} hours after the healing");
            }
            else
            {
                VersionChanged[] actives = [.. run.Of(node).OfType<VersionChanged>()
                    .Where(v => v.Node == node && v.State == VersionState.Active)];
                long server = actives.Select(v => v.Version).LastOrDefault();
                long before = actives.Where(v => v.AtUs < healed.AtUs + SimWorld.HealUs - UnderWayUs)
                    .Select(v => v.Version).LastOrDefault();
                if (last.Active != server && last.Active != before)
                {
                    yield return Broken(last, $"ACTIVE is {last.Active}, the server's is {server}");
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

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        string[] excuses = [FaultKinds.DiskRestored, FaultKinds.RunRemoved, FaultKinds.StateDamaged, .. FaultKinds.Disk];
        foreach (string node in run.Nodes.Where(n => !run.Had(n, excuses)))
        {
            Dictionary<string, long> revoked = new(StringComparer.Ordinal);
            long held = 0;
            foreach (Happening h in run.Of(node))
            {
                switch (h)
                {
                    case Revoked r: revoked[r.License] = r.ListVersion; break;
                    case Reported r: held = Math.Max(held, r.RevocationsVersion); break;
                    case Validated { Reason: "VALID" } v
                        when revoked.TryGetValue(v.License, out long list) && list <= held:
                        yield return Broken(v, $"{v.License} is VALID and was revoked in list {list}; "
                            + $"the till had reported list {held}");
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

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        string[] excuses =
        [
            FaultKinds.DiskRestored, FaultKinds.RunRemoved, FaultKinds.StateDamaged, FaultKinds.OlderFormat,
            .. FaultKinds.Disk, FaultKinds.TpmCleared, FaultKinds.TpmReplaced,
        ];
        foreach (string node in run.Nodes.Where(n => !run.Had(n, excuses)))
        {
            (bool told, bool heard) = (false, false);
            foreach (Happening h in run.Of(node))
            {
                switch (h)
                {
                    case Reported r: told = r.Suspended; break;
                    case Received { Action: not "check-in" }: told = false; break;
                    case AnswerJudged { Kind: "None" } a when told && a.ContactAfterMs != a.ContactBeforeMs:
                        heard = true;
                        break;
                    case Ordered { What: OrderKinds.Resume } or Healed: (told, heard) = (false, false); break;
                    case Validated { Reason: "VALID" } v when heard:
                        yield return Broken(v, $"{v.License} is VALID at a till that knows it is suspended");
                        break;
                }
            }
        }
    }
}

/// <summary>One answer or a closed connection, by a deadline.</summary>
internal sealed class EveryCallAnswered : Checker
{
    public override string Id => "I24";

    public override string Claim => "Every call of an application is answered by its deadline";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from call in run.History.OfType<Unanswered>()
        where !run.Had(call.Node, FaultKinds.DiskStall, FaultKinds.Suspend, FaultKinds.Pause)
        select Broken(call, $"{call.Path} had no answer within its time");
}

/// <summary>After an outage of the server the fleet does not come back in step.</summary>
internal sealed class LoadAfterOutage : Checker
{
    // Below this many tills the law of large numbers says nothing.
    private const int TillsMin = 200;
    private const long WindowUs = 60_000_000;

    public override string Id => "I25";

    public override string Claim => "After an outage the request rate stays at most 1.2 times the steady one";

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
            double allowed = (steady * 1.2) + (4 * Math.Sqrt(steady));
            if (worst.Count > allowed)
            {
                yield return Broken(over, $"{worst.Count} requests in minute {worst.Minute} after the outage, "
                    + $"{steady:f0} are steady");
            }
        }
    }
}
