using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Checkers;

/// <summary>The process ends only when it is told to, or over files of a newer program.</summary>
internal sealed class NoCrash : Checker
{
    public override string Id => "I00";

    public override string Claim => "No process ends by itself";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from ended in run.History.OfType<Ended>()
        where ended.How is EndOf.Crash
        select Broken(ended, ended.Detail);
}

/// <summary>
/// A till that is enrolled, healthy, not held back by an order, and rotated within grace refuses no good license for want
/// of a secret. Judged for tills whose disk, TPM and clock were left alone; network and crashes are no excuse.
/// </summary>
internal sealed class AlwaysUsable : Checker
{
    // Reading the state and opening ACTIVE after a start.
    private const long StartUs = 60_000_000;
    private const long SlackMs = 60_000;

    public override string Id => "I02";

    public override string Claim => "A usable secret while enrolled, healthy and rotated within grace";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        string[] excuses =
        [
            .. FaultKinds.Disk, .. FaultKinds.Tpm, .. FaultKinds.Clock, .. FaultKinds.Tampering, FaultKinds.ServerSkew,
            FaultKinds.ServerRestored,
        ];
        bool ordered = run.Plan.Orders.Any(o => o.Kind is not (OrderKinds.Rotate or OrderKinds.RotateNow));
        foreach (string node in run.Nodes.Where(n => !ordered && !run.Had(n, excuses)))
        {
            long start = 0;
            long graceMs = 0;
            long contact = 0;
            Dictionary<long, long> graceOf = [];
            foreach (Happening h in run.Of(node))
            {
                switch (h)
                {
                    case Started s: start = s.AtUs; break;
                    case AnswerJudged { Kind: "None" } a: contact = a.AtUs; break;
                    case VersionChanged c:
                        graceOf[c.Version] = c.GraceUntil.UnixMs;
                        graceMs = c.State is VersionState.Active ? c.GraceUntil.UnixMs : graceMs;
                        break;
                    case Validated { Status: 200 } v when v.AtUs - start > StartUs
                        && v.Reason is "NO_SECRET" or "LOCKED" or "GRACE_EXHAUSTED" or "SECRET_INVALIDATED"
                        && LatestMs(run, v, contact) < graceMs
                        && LatestMs(run, v, contact) < graceOf.GetValueOrDefault(v.TokenVersion):
                        yield return Broken(v, $"{v.Reason} for a token of version {v.TokenVersion} in mode {v.Mode}");
                        break;
                }
            }
        }
    }

    /// <summary>How late it may be for a till whose clock runs fast since its last contact.</summary>
    private static long LatestMs(RunRecord run, Validated v, long contactUs) => SimServer.At(v.AtUs).UnixMs + SlackMs
        + (Math.Abs(run.Plan.Knobs.DriftPpm) * ((v.AtUs - contactUs) / 1_000) / 1_000_000);
}

internal sealed class OneActive : Checker
{
    public override string Id => "I03";

    public override string Claim => "At most one ACTIVE and one PENDING";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from seen in run.History.OfType<Seen>()
        where seen.Actives > 1 || seen.Pendings > 1
        select Broken(seen, $"{seen.Actives} ACTIVE, {seen.Pendings} PENDING");
}

/// <summary>A license that was valid, then not for a reason of its secret, and then valid again.</summary>
internal sealed class NoFlapping : Checker
{
    public override string Id => "I04";

    public override string Claim => "No valid, invalid, valid of a license through rotations";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes.Where(n => !run.Had(n, FaultKinds.Tampering)))
        {
            Dictionary<(string, long), Validated?> refused = [];
            foreach (Validated v in run.Of(node).OfType<Validated>().Where(v => v.Node == node && v.Status == 200))
            {
                (string, long) token = (v.License, v.TokenVersion);
                if (v.Reason == "VALID" && refused.GetValueOrDefault(token) is { } before)
                {
                    yield return Broken(v, $"{v.License} under v{v.TokenVersion} was {before.Reason} at "
                        + $"{before.AtUs / 1_000_000} s and is VALID again");
                    refused[token] = null;
                }
                else if (v.Reason == "VALID")
                {
                    refused[token] = null;
                }
                else if (v.Reason is "UNKNOWN_SECRET" or "SECRET_INVALIDATED" or "INVALID_TOKEN" or "WRONG_AGENT"
                    && refused.ContainsKey(token))
                {
                    refused[token] = v;
                }
            }
        }
    }
}

/// <summary>
/// Nothing is valid under a version whose grace is over, or that an order took out of use and the agent has heard of.
/// True time is ahead of trusted now by no more than the till was off or asleep, and what clocks drift.
/// </summary>
internal sealed class NothingPastItsEnd : Checker
{
    private const long SlackMs = 180_000;

    public override string Id => "I05";

    public override string Claim => "Nothing validates past grace_until or under an invalidated version";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes.Where(n => !run.Had(n, FaultKinds.ServerSkew, FaultKinds.ServerRestored)))
        {
            Dictionary<long, long> graceMs = [];
            long heardBelow = 0;
            OffTime off = new();
            foreach (Happening h in run.Of(node))
            {
                off.On(h);
                switch (h)
                {
                    case VersionChanged { State: VersionState.Burned }:
                        // Given up by a server that never heard of its confirm; a replica that did told the till its end.
                        break;
                    case VersionChanged c: graceMs[c.Version] = c.GraceUntil.UnixMs; break;
                    case Reported r when r.Lock.Length == 0: heardBelow = Math.Max(heardBelow, off.HeardBelow(r)); break;
                    case Validated { Reason: "VALID" } v:
                        long allowed = SlackMs + off.LostMs + Drift(run, off);
                        if (graceMs.TryGetValue(v.TokenVersion, out long end)
                            && SimServer.At(v.AtUs).UnixMs > end + allowed)
                        {
                            yield return Broken(v, $"VALID under v{v.TokenVersion} "
                                + $"{(SimServer.At(v.AtUs).UnixMs - end) / 1000} s past its grace_until");
                        }
                        else if (v.TokenVersion < heardBelow)
                        {
                            yield return Broken(v, $"VALID under v{v.TokenVersion}, invalidated below {heardBelow}");
                        }

                        break;
                }
            }
        }
    }

    private static long Drift(RunRecord run, OffTime off) =>
        Math.Abs(run.Plan.Knobs.DriftPpm) * off.SinceContactMs / 1_000_000;
}

/// <summary>How much trusted now may be behind: time off or asleep since the last contact.</summary>
internal sealed class OffTime
{
    private long _offSinceUs = -1;

    // Nothing is saved by who sleeps or is held: a power cut then loses that time as well.
    private readonly HashSet<int> _asleep = [];
    private long _asleepSinceUs = -1;

    // A process that never had its state, TPM or disk being away, serves nothing and saves no time: it is as good as off,
    // and so are all that the service manager starts after it until one has it.
    private long _startedUs;
    private bool _hasTime = true;
    private long _contactUs;
    private long _nowUs;
    private long _told;
    private long _lostUs;

    public long LostMs => _lostUs / 1_000;

    /// <summary>Since the last contact.</summary>
    public int Starts { get; private set; }

    public long SinceContactMs => (_nowUs - _contactUs) / 1_000;

    public void On(Happening h)
    {
        _nowUs = h.AtUs;
        Starts = h is AnswerJudged { Kind: "None" } ? 0 : Starts + (h is Started ? 1 : 0);
        (_startedUs, _hasTime) = h is Started ? (_hasTime ? h.AtUs : _startedUs, false) : (_startedUs, _hasTime);
        switch (h)
        {
            case FaultBegan { Kind: FaultKinds.Suspend or FaultKinds.Pause } began:
                _asleepSinceUs = _asleep.Count == 0 ? h.AtUs : _asleepSinceUs;
                _asleep.Add(began.Fault);
                break;
            case FaultEnded { Kind: FaultKinds.Suspend or FaultKinds.Pause } ended:
                _asleep.Remove(ended.Fault);
                _asleepSinceUs = _asleep.Count == 0 ? -1 : _asleepSinceUs;
                break;
            case Seen seen: _hasTime |= !HasNoTime(seen); break;
            case Ended { How: EndOf.PowerCut or EndOf.Kill } when _offSinceUs < 0:
                _offSinceUs = !_hasTime ? _startedUs : _asleepSinceUs >= 0 ? _asleepSinceUs : h.AtUs;
                break;
            case Started when _offSinceUs >= 0:
                // A new process in the same boot loses nothing; counted all the same, it is a bound.
                _lostUs += h.AtUs - _offSinceUs + 60_000_000;
                _offSinceUs = -1;
                break;
            case AnswerJudged { Kind: "None" }:
                (_lostUs, _contactUs) = (0, h.AtUs);
                break;
        }
    }

    /// <summary>
    /// Before the identity is durable no contact is, and without a TPM at the start the state is not loaded: the till
    /// may know nothing but its build time, and serves nothing. So it is with an identity and no secret yet: power may
    /// have gone right after the enrolment.
    /// </summary>
    public static bool HasNoTime(Seen seen) =>
        seen.Lock is "starting" or "not_enrolled" or "tpm_unavailable" or "tpm_replaced" or "NO_SECRET";

    /// <summary>What an order said below which nothing counts, once a later check-in shows that it was heard.</summary>
    public long HeardBelow(Reported r)
    {
        long before = _told;
        _told = r.InvalidBelow;
        return r.Active == 0 || r.Active >= before ? before : 0;
    }
}
