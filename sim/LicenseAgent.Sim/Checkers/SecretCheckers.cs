using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Checkers;

/// <summary>The process ends only when it is told to, or over files of a newer program.</summary>
internal sealed class NoCrash : Checker
{
    public override string Id => "I00";

    public override string Claim => "No process ends by itself";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        // Each that began, and also where it never ends.
        Judge(run, run.History.OfType<Started>().Count());
        return from ended in run.History.OfType<Ended>()
               where ended.How is EndOf.Crash
               select Broken(ended, ended.Stack is null ? ended.Detail : $"{ended.Detail}\n{ended.Stack}");
    }
}

/// <summary>
/// A till that is enrolled, healthy, not held back by an order, and rotated within grace refuses no good license for want
/// of a secret. One that runs has its secrets in memory: disk and TPM are an excuse where a process began without them;
/// network and crashes are none.
/// </summary>
internal sealed class AlwaysUsable : Checker
{
    // Reading the state and opening ACTIVE after a start.
    private const long StartUs = 60_000_000;
    private const long SlackMs = 60_000;

    // Secrets that are damaged, or younger than the copy that was put back, do not come back.
    private static readonly string[] FilesGone =
    [
        .. FaultKinds.Tampering, .. FaultKinds.AnotherTpm,
        FaultKinds.TpmRolledBack,
    ];

    public override string Id => "I02";

    public override string Claim => "A usable secret while enrolled, healthy and rotated within grace";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new([
                .. FaultKinds.Clock, .. FaultKinds.Tampering, .. FaultKinds.AnotherTpm, FaultKinds.TpmRolledBack,
                FaultKinds.ServerSkew, FaultKinds.ServerRestored, FaultKinds.ServerStale,
                FaultKinds.NewerFormat,
            ])
            {
                AtStart = [.. FaultKinds.Disk, .. FaultKinds.Tpm],
                Orders =
                [
                    OrderKinds.Invalidate, OrderKinds.InvalidateBelow, OrderKinds.Suspend, OrderKinds.LimitGrace, "enroll",
                ],
            };
            long start = 0;
            long graceMs = 0;
            long contact = 0;
            Dictionary<long, long> graceOf = [];

            // A server that is put back may take up again what the till was told to give up for good.
            HashSet<long> gone = [];
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                switch (h)
                {
                    case Started s: start = s.AtUs; break;
                    case AnswerJudged { Kind: "None" } a: contact = a.AtUs; break;
                    case VersionChanged { State: VersionState.Invalidated } c: gone.Add(c.Version); break;
                    case VersionChanged c:
                        long before = excuse.Holds ? graceOf.GetValueOrDefault(c.Version) : long.MaxValue;
                        graceOf[c.Version] = Told(c, before);
                        graceMs = c.State is VersionState.Active ? c.GraceUntil.UnixMs : graceMs;
                        break;
                    case Ordered { What: { } what } when Gone(what) is { } isGone:
                        gone.UnionWith(graceOf.Keys.Where(isGone));
                        break;
                    case FaultBegan f when FilesGone.Contains(f.Kind): graceOf.Clear(); break;
                    case Validated { Status: 200 } v when !excuse.Holds && v.AtUs - start > StartUs
                        && !gone.Contains(v.TokenVersion)
                        && LatestMs(run, v, contact) < Math.Min(graceMs, graceOf.GetValueOrDefault(v.TokenVersion)):
                        Judge(run);
                        if (v.Reason is "NO_SECRET" or "LOCKED" or "GRACE_EXHAUSTED" or "SECRET_INVALIDATED")
                        {
                            yield return Broken(v, $"{v.Reason} for a token of version {v.TokenVersion} in mode {v.Mode}");
                        }

                        break;
                }
            }
        }
    }

    /// <summary>
    /// Until when the till may open what it holds of a version. A server whose books are behind may give it more than
    /// the till hears of, and give to one that the till has given up.
    /// </summary>
    /// <param name="before">As much as it can be now; zero: nothing is known of it.</param>
    private static long Told(VersionChanged c, long before) => c.State switch
    {
        VersionState.Burned => 0,
        VersionState.Grace => Math.Min(before, c.GraceUntil.UnixMs),
        _ => c.GraceUntil.UnixMs,
    };

    /// <summary>The versions that an order takes out of use for ever; <see langword="null"/>: it takes none.</summary>
    private static Func<long, bool>? Gone(string what) => what.Split(' ') switch
    {
        [OrderKinds.Invalidate, var version] => known => known == Number(version),
        [OrderKinds.InvalidateBelow, var below] => known => known < Number(below),
        _ => null,
    };

    private static long Number(string text) => long.Parse(text, System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>How late it may be for a till whose clock runs fast since its last contact.</summary>
    private static long LatestMs(RunRecord run, Validated v, long contactUs) => SimServer.At(v.AtUs).UnixMs + SlackMs
        + (Math.Abs(run.Plan.Knobs.DriftPpm) * ((v.AtUs - contactUs) / 1_000) / 1_000_000);
}

internal sealed class OneActive : Checker
{
    public override string Id => "I03";

    public override string Claim => "At most one ACTIVE and one PENDING";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from seen in Judge(run, run.History.OfType<Seen>(), s => s.Actives > 1 || s.Pendings > 1)
        select Broken(seen, $"{seen.Actives} ACTIVE, {seen.Pendings} PENDING");
}

/// <summary>A license that was valid, then not for a reason of its secret, and then valid again.</summary>
internal sealed class NoFlapping : Checker
{
    public override string Id => "I04";

    public override string Claim => "No valid, invalid, valid of a license through rotations";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new(FaultKinds.Tampering);
            Dictionary<(string, long), Validated?> refused = [];
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                if (excuse.Holds)
                {
                    refused.Clear();
                }
                else if (h is Validated { Status: 200 } v && Flaps(v, refused) is { } before)
                {
                    yield return Broken(v, $"{v.License} under v{v.TokenVersion} was {before.Reason} at "
                        + $"{before.AtUs / 1_000_000} s and is VALID again");
                }

                Judge(run, h is Validated { Status: 200 } && !excuse.Holds ? 1 : 0);
            }
        }
    }

    /// <summary>The refusal between this answer and one before it that were both VALID.</summary>
    private static Validated? Flaps(Validated v, Dictionary<(string, long), Validated?> refused)
    {
        (string, long) token = (v.License, v.TokenVersion);
        if (v.Reason == "VALID")
        {
            Validated? before = refused.GetValueOrDefault(token);
            refused[token] = null;
            return before;
        }

        if (v.Reason is "UNKNOWN_SECRET" or "SECRET_INVALIDATED" or "INVALID_TOKEN" or "WRONG_AGENT"
            && refused.ContainsKey(token))
        {
            refused[token] = v;
        }

        return null;
    }
}

/// <summary>
/// Nothing is valid under a version whose grace is over, or that an order took out of use and the agent has heard of, or
/// past a limit of grace it has heard of. True time is ahead of trusted now by no more than the till was off or asleep,
/// and what clocks drift.
/// </summary>
internal sealed class NothingPastItsEnd : Checker
{
    private const long SlackMs = 180_000;

    public override string Id => "I05";

    public override string Claim => "Nothing validates past grace_until, a limit of grace, or under an invalidated version";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse clocks = new(FaultKinds.ServerSkew, FaultKinds.ServerRestored);
            Excuse files = new([.. FaultKinds.Tampering, .. FaultKinds.Disk, .. FaultKinds.Tpm, .. FaultKinds.Upgrade])
            {
                Orders = ["enroll"],
            };
            Dictionary<long, long> graceMs = [];
            HashSet<long> invalidated = [];
            Levels levels = new();
            OffTime off = new();
            foreach (Happening h in run.Of(node))
            {
                off.On(h);
                clocks.On(h);
                files.On(h);
                levels.On(h);
                if (files.Holds)
                {
                    // What stood in files that are gone is heard anew.
                    levels.Forget();
                    invalidated.Clear();
                }

                switch (h)
                {
                    case VersionChanged { State: VersionState.Burned }:
                        // Given up by a server that never heard of its confirm; a replica that did told the till its end.
                        break;
                    case VersionChanged c: graceMs[c.Version] = c.GraceUntil.UnixMs; break;
                    case Ordered { Outcome: "200" } o when o.What.Split(' ') is [OrderKinds.Invalidate, var number]:
                        invalidated.Add(long.Parse(number, System.Globalization.CultureInfo.InvariantCulture));
                        break;
                    case Validated { Reason: "VALID" } v:
                        Judge(run);
                        long now = SimServer.At(v.AtUs).UnixMs - SlackMs - off.LostMs - Drift(run, off);
                        if (!clocks.Holds && graceMs.TryGetValue(v.TokenVersion, out long end) && now > end)
                        {
                            yield return Broken(v, $"VALID under v{v.TokenVersion} "
                                + $"{(SimServer.At(v.AtUs).UnixMs - end) / 1000} s past its grace_until");
                        }
                        else if (!clocks.Holds && levels.Forbid(v.AtUs, told => now > told.GraceLimit?.UnixMs))
                        {
                            yield return Broken(v, $"VALID past the limit of grace, {levels.Heard?.GraceLimit}");
                        }
                        else if (invalidated.Contains(v.TokenVersion) || v.TokenVersion < levels.Heard?.InvalidBelow)
                        {
                            yield return Broken(v, $"VALID under v{v.TokenVersion}, which was invalidated "
                                + $"(below {levels.Heard?.InvalidBelow})");
                        }

                        break;
                }
            }
        }
    }

    private static long Drift(RunRecord run, OffTime off) =>
        Math.Abs(run.Plan.Knobs.DriftPpm) * off.SinceContactMs / 1_000_000;
}
