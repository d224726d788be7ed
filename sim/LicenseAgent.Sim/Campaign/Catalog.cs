using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Campaign;

/// <summary>One thing that a campaign has to have seen, or it proves nothing.</summary>
/// <param name="Profiles">The profiles that must see it; empty: every one.</param>
internal sealed record MustHappen(string Id, string Claim, Func<RunOutcome, bool> Seen, params IReadOnlyList<string> Profiles);

/// <summary>
/// What happened at all in a campaign: rare paths that some run must have walked. An invariant that held because nothing
/// came near it is no result.
/// </summary>
internal sealed class Catalog(string profile)
{
    private readonly Dictionary<string, (long Runs, ulong First)> _hits = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _judged = new(StringComparer.Ordinal);

    public static IReadOnlyList<MustHappen> Entries { get; } =
    [
        new("S01", "a token was valid", r => Has<Validated>(r, v => v.Reason == "VALID")),
        new("S02", "a secret was rotated", r => r.History.OfType<Received>()
            .Count(x => x.Action == "confirm-rotation" && x.Verdict == "ok") > r.Plan.Tills),
        new("S03", "a nonce was refused the second time", r => Has<Validated>(r, v => v.Reason == "nonce_replayed")),
        new("S04", "a token under a GRACE secret was valid", GraceValid),
        new("S05", "a process was killed and came back", r => Has<Ended>(r, e => e.How == EndOf.Kill), "lite", "swarm"),
        new("S06", "power was cut", r => Has<Ended>(r, e => e.How == EndOf.PowerCut), "lite", "swarm", "clock"),
        new("S07", "a till was OFFLINE", r => Has<Seen>(r, s => s.Mode == "OFFLINE"), "swarm", "degraded"),
        new("S08", "a till was DEGRADED", r => Has<Seen>(r, s => s.Mode == "DEGRADED"), "swarm", "degraded"),
        new("S09", "a till was EXHAUSTED", r => Has<Seen>(r, s => s.Mode == "EXHAUSTED"), "degraded"),
        new("S10", "a state was rolled back and noticed", r => Has<Seen>(r, s => s.Lock == "state_rollback"), "swarm", "disk"),
        new("S11", "a forged answer was delivered", r => Has<AnswerJudged>(r, a => a.Kind != "None"), "swarm"),
        new("S12", "the server refused a version", r => Has<Received>(r, x => x.Verdict == "VERSION_CONFLICT"), "swarm"),
        new("S13", "a license was refused as revoked", r => Has<Validated>(r, v => v.Reason == "REVOKED"), "swarm"),
        new("S14", "a till was suspended", r => Has<Seen>(r, s => s.Lock == "suspended"), "swarm"),
        new("S15", "a TPM was away and a till said so", r => Has<Seen>(r, s => s.Lock == "tpm_unavailable"), "tpm"),
        new("S16", "a cut tail was seen by the witness", r => Has<WitnessGiven>(r, w => w.Conflict), "swarm", "disk"),
        new("S17", "a clock was further than allowed", r => Has<Received>(r, x => x.Verdict == "CLOCK_SKEW"), "swarm", "clock"),
        new("S18", "the server answered REPLAY to a copy", r => Has<Received>(r, x => x.Verdict == "REPLAY"), "lite", "swarm"),
        new("S19", "a stranger was turned away", r => Has<OddCall>(r, c => c.Kind == "stranger")),
        new("S20", "nonsense was refused", r => Has<OddCall>(r, c => c.Kind == "garbage")),
        new("S21", "a till saw another TPM", r => Has<Seen>(r, s => s.Lock == "tpm_replaced"), "tpm", "swarm"),
        new("S22", "a till was enrolled anew", r => Has<Ordered>(
            r, o => o.What == "enroll --replace" && o.Outcome == "200"), "tpm", "swarm"),
        new("S23", "a newer format was refused", r => Has<Ended>(r, e => e.How == EndOf.NewerFormat), "rotation", "swarm"),
        new("S24", "files of an older format were read", r => Has<FaultBegan>(
            r, f => f.Kind == FaultKinds.OlderFormat), "rotation", "swarm"),
        new("S25", "the server's keys were exchanged", r => Has<FaultBegan>(
            r, f => f.Kind == FaultKinds.KeyRollover), "rotation", "swarm"),
        new("S26", "the server suspected a clone", r => Has<CloneSuspected>(r, _ => true), "tpm", "swarm"),
        new("S27", "a token outlived its secret", r => Has<Validated>(r, v => v.Reason == "SECRET_INVALIDATED"), "rotation", "swarm"),
        new("S28", "somebody called more often than the till lets", r => Has<Validated>(r, v => v.Status == 429), "ipc"),
        new("S29", "a file of the log was retired", r => Has<LogFileRetired>(r, _ => true), "ipc", "swarm", "long", "fleet"),
        new("S30", "a certificate that ends was renewed", r => Has<Received>(
            r, x => x.Action == "renew-certificate" && x.Verdict == "ok"), "swarm", "long"),
        new("S31", "what is too long was refused", r => Has<OddCall>(
            r, c => c.Kind == "oversized" && c.Status == 413), "ipc", "swarm"),
        new("S32", "a part of an answer was delivered", r => Has<AnswerJudged>(r, a => a.Kind == "Truncated"), "lite", "swarm"),
        new("S33", "an answer as large as there is was delivered", r => Has<AnswerJudged>(r, a => a.Kind == "Huge"), "swarm"),
        new("S34", "a configuration was read again", r => Has<Ordered>(
            r, o => o.What == FaultKinds.Reload && o.Outcome == "200"), "lite", "swarm"),
        new("S35", "a damaged identity was noticed", r => Has<Seen>(
            r, s => s.Lock is "identity_damaged" or "certificate_damaged"), "swarm"),
        new("S36", "a server certificate that had ended was refused", r => Has<CertificateRefused>(
            r, c => c.Reason == "tls_expired"), "swarm"),
        new("S40", "a till was switched off in an orderly way", r => Has<Ended>(r, e => e.How == EndOf.ShutDown), "lite", "swarm"),
        new("S41", "a viewer's order was refused", r => Has<OddCall>(r, c => c.Kind == "viewer")),
    ];

    public IEnumerable<MustHappen> Wanted => Entries.Where(e => e.Profiles.Count == 0 || e.Profiles.Contains(profile));

    /// <summary>Wanted, and never seen.</summary>
    public IReadOnlyList<MustHappen> Missing => [.. Wanted.Where(e => !_hits.ContainsKey(e.Id))];

    /// <summary>Invariants that this profile has to come near, and never did.</summary>
    public IReadOnlyList<string> NeverJudged =>
    [
        .. AllCheckers.List.Where(c => (c.Profiles.Count == 0 || c.Profiles.Contains(profile)) && Judged(c.Id) == 0)
            .Select(c => c.Id),
    ];

    public static IReadOnlyList<string> SeenIn(RunOutcome run) => [.. Entries.Where(e => e.Seen(run)).Select(e => e.Id)];

    public void Note(SeedResult run)
    {
        foreach (string id in run.Hits)
        {
            (long runs, ulong first) = _hits.GetValueOrDefault(id, (0, run.Seed));
            _hits[id] = (runs + 1, first);
        }

        foreach ((string id, long times) in run.Judged)
        {
            _judged[id] = Judged(id) + times;
        }
    }

    /// <summary>How often an invariant was judged.</summary>
    public long Judged(string id) => _judged.GetValueOrDefault(id);

    public long Hits(string id) => _hits.GetValueOrDefault(id).Runs;

    /// <summary>The first seed that came back with it; <see langword="null"/>: none did.</summary>
    public ulong? First(string id) => _hits.TryGetValue(id, out (long Runs, ulong First) hit) ? hit.First : null;

    private static bool Has<T>(RunOutcome run, Func<T, bool> seen)
        where T : Happening => run.History.OfType<T>().Any(seen);

    private static bool GraceValid(RunOutcome run)
    {
        Dictionary<string, long> active = new(StringComparer.Ordinal);
        foreach (Happening h in run.History)
        {
            if (h is Seen seen)
            {
                active[seen.Node] = seen.Active;
            }
            else if (h is Validated { Reason: "VALID" } v && v.TokenVersion < active.GetValueOrDefault(v.Node))
            {
                return true;
            }
        }

        return false;
    }
}
