using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Plans;

/// <summary>What a kind of campaign is about.</summary>
/// <param name="Kinds">The faults it may use.</param>
/// <param name="Orders">Whether operators do things.</param>
internal sealed record Profile(
    string Name, int TillsMax, int HoursMin, int HoursMax, int FaultsMax, IReadOnlyList<string> Kinds, bool Orders)
{
    public static IReadOnlyList<Profile> All { get; } =
    [
        new("lite", 3, 72, 72, 12, [.. FaultKinds.Network, .. FaultKinds.Process], Orders: false),
        new("swarm", 4, 48, 240, 40,
            [
                .. FaultKinds.Network, .. FaultKinds.Malice, .. FaultKinds.Server, .. FaultKinds.Tpm, .. FaultKinds.Disk,
                .. FaultKinds.Process, .. FaultKinds.Clock, .. FaultKinds.Tampering.Except(FaultKinds.Seldom),
                .. FaultKinds.Upgrade,
            ],
            Orders: true),
        new("rotation", 2, 48, 120, 40,
            [.. FaultKinds.Network, .. FaultKinds.Process, .. FaultKinds.Malice, FaultKinds.ServerRestored,
                FaultKinds.ServerStale, FaultKinds.KeyRollover, .. FaultKinds.Upgrade], Orders: true),
        new("degraded", 2, 240, 480, 8,
            [FaultKinds.Cut, FaultKinds.ServerDown, FaultKinds.PowerCut, FaultKinds.Kill, FaultKinds.Portal], Orders: false),
        new("tpm", 2, 48, 120, 24, [.. FaultKinds.Tpm, .. FaultKinds.Process], Orders: false),
        new("disk", 2, 48, 120, 24,
            [.. FaultKinds.Disk, .. FaultKinds.Process, .. FaultKinds.Tampering.Except(FaultKinds.Seldom)],
            Orders: false),
        new("clock", 2, 48, 240, 24, [.. FaultKinds.Clock, .. FaultKinds.Process, FaultKinds.Cut], Orders: false),
        new("ipc", 2, 6, 24, 16,
            [.. FaultKinds.Process, FaultKinds.AuditFull, FaultKinds.DiskStall, FaultKinds.TpmAbsent], Orders: true),
        new("long", 1, 24 * 365 * 20, 24 * 365 * 20, 60,
            [FaultKinds.Cut, FaultKinds.PowerCut, FaultKinds.Kill, FaultKinds.Restart], Orders: false),
        new("fleet", 10_000, 36, 36, 0, [], Orders: false),
    ];

    public static IEnumerable<string> Names => All.Select(p => p.Name);

    public static Profile Named(string name) => All.FirstOrDefault(p => p.Name == name)
        ?? throw new PlanException($"No profile is called {name}; there are {string.Join(", ", Names)}.");
}

/// <summary>Draws a plan from a seed: who there is, how it is set up, which faults are possible at all, who orders what.</summary>
internal static class PlanMaker
{
    // Enrolment and the first rotation are left alone: a till that never existed proves nothing.
    public const long QuietS = 1_200;

    private const int Day = 86_400;
    private const int SegmentKibMin = 64;

    public static Plan Make(ulong seed, Profile profile)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", profile.Name);
        int tills = profile.Name == "fleet" ? profile.TillsMax : (int)chance.Between(1, profile.TillsMax);
        int hours = (int)chance.Between(profile.HoursMin, profile.HoursMax);
        Knobs knobs = ShortLog(seed, profile, DrawKnobs(chance, profile));
        string[] kinds = [.. profile.Kinds.Distinct().Where(_ => chance.Chance(0.5))];
        List<PlannedFault> faults = new FaultDraw(chance, profile, knobs, tills, hours).Draw(kinds);
        knobs = WithCertificates(seed, profile, knobs, faults);

        if (profile.Name == "fleet")
        {
            faults.Add(new PlannedFault(1, 6 * 3_600, 24 * 3_600, "", FaultKinds.ServerDown));
        }

        List<PlannedOrder> orders = [];
        if (profile.Orders)
        {
            string[] ordered = [.. OrderKinds.All.Where(_ => chance.Chance(0.4))];
            long number = ordered.Length == 0 ? 0 : chance.Between(0, 8);
            for (int i = 1; i <= number; i++)
            {
                long at = chance.Between(QuietS, hours * 3_600L);
                orders.Add(new PlannedOrder(
                    i, at, SimWorld.NameOf((int)chance.Between(1, tills)), chance.Pick(ordered), chance.Between(0, 4)));
            }
        }

        faults.AddRange(WhileAsleep(seed, faults, profile));
        faults.AddRange(CutsOnceTold(seed, faults.Count + 1, orders, profile));
        if (profile.Name == "swarm")
        {
            orders.AddRange(InvalidationAtConfirm(seed, orders.Count + 1, tills, hours));
            faults.AddRange(LeftBroken(seed, faults.Count + 1, tills, hours));
            faults.AddRange(Seldom(seed, faults.Count + 1, tills, hours));
        }

        return new Plan(
            Plan.CurrentFormat, seed, profile.Name, tills, hours, knobs, [.. faults.OrderBy(f => f.AtS)],
            [.. orders.OrderBy(o => o.AtS)]);
    }

    /// <summary>
    /// Nothing else makes the server refuse a confirm. From a stream of its own: plans without it are as they were.
    /// </summary>
    private static IEnumerable<PlannedOrder> InvalidationAtConfirm(ulong seed, int id, int tills, int hours)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", OrderKinds.InvalidateAtConfirm);
        if (chance.Chance(0.1))
        {
            yield return new PlannedOrder(
                id, chance.Between(QuietS, hours * 3_600L), SimWorld.NameOf((int)chance.Between(1, tills)),
                OrderKinds.InvalidateAtConfirm);
        }
    }

    /// <summary>
    /// Who wakes up and can ask nobody what time it is has only its own clocks, of which one may have stood still.
    /// </summary>
    private static List<PlannedFault> WhileAsleep(ulong seed, List<PlannedFault> faults, Profile profile)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", "while-asleep");
        List<PlannedFault> drawn = [];
        void Draw(PlannedFault sleep, long forS, string kind, long arg) => drawn.Add(new PlannedFault(
            faults.Count + drawn.Count + 1, sleep.AtS, forS, sleep.Till, kind, arg));
        foreach (PlannedFault sleep in faults.Where(f => f.Kind == FaultKinds.Suspend))
        {
            if (!profile.Kinds.Contains(FaultKinds.Cut) || !chance.Chance(0.5))
            {
                continue;
            }

            long forS = sleep.ForS + chance.Between(60, 7_200);
            Draw(sleep, forS, FaultKinds.Cut, 0);
            if (profile.Kinds.Contains(FaultKinds.WallStep) && chance.Chance(0.7))
            {
                Draw(sleep, forS, FaultKinds.WallStep, -sleep.ForS);
            }
        }

        return drawn;
    }

    /// <summary>What a till has heard it must have kept before anything else happens.</summary>
    private static IEnumerable<PlannedFault> CutsOnceTold(
        ulong seed, int id, IReadOnlyList<PlannedOrder> orders, Profile profile)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", FaultKinds.CutOffOnceTold);
        foreach (PlannedOrder order in orders.Where(o => OrderKinds.Lasting.Contains(o.Kind)))
        {
            if (profile.Kinds.Contains(FaultKinds.Cut) && chance.Chance(0.3))
            {
                // Heard is what is judged, two seconds after the answer; saved anew is everything after a minute.
                yield return new PlannedFault(
                    id++, order.AtS, chance.Between(3_600, 36_000), order.Till, FaultKinds.CutOffOnceTold,
                    chance.Between(3_000, 40_000));
            }
        }
    }

    /// <summary>A till whose TPM is gone for good, among others that have to come back all the same.</summary>
    private static IEnumerable<PlannedFault> LeftBroken(ulong seed, int id, int tills, int hours)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", "left-broken");
        if (tills > 1 && chance.Chance(0.1))
        {
            yield return new PlannedFault(
                id, chance.Between(QuietS, hours * 3_600L), hours * 7_200L, SimWorld.NameOf((int)chance.Between(1, tills)),
                FaultKinds.TpmAbsent, PlannedFault.ForGood);
        }
    }

    /// <summary>What would leave little else to see if it were as frequent as other faults.</summary>
    private static IEnumerable<PlannedFault> Seldom(ulong seed, int id, int tills, int hours)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", "seldom");
        if (chance.Chance(0.1))
        {
            yield return new PlannedFault(
                id++, chance.Between(QuietS, hours * 3_600L), chance.Between(600, 200_000), "",
                FaultKinds.ServerCertificate, chance.Below(2));
        }

        if (chance.Chance(0.1))
        {
            yield return new PlannedFault(
                id, chance.Between(QuietS, hours * 3_600L), chance.Between(60, 3_600),
                SimWorld.NameOf((int)chance.Between(1, tills)), FaultKinds.IdentityDamaged, chance.Below(2),
                chance.Below(3));
        }
    }

    /// <summary>Rare paths are reached by unusual settings rather than by waiting.</summary>
    private static Knobs DrawKnobs(SimRandom chance, Profile profile)
    {
        if (profile.Name == "fleet")
        {
            return new Knobs(PosEveryS: 3_600);
        }

        if (profile.Name == "long")
        {
            int every = (int)chance.Between(1, 30) * Day;
            return new Knobs(
                PosEveryS: 3_600, RotationS: every, GraceS: every * (int)chance.Between(1, 8),
                CheckInS: chance.Chance(0.5) ? 900 : (int)chance.Between(300, 3_000),
                DriftPpm: (int)chance.Between(-100, 100), CertificateS: (int)chance.Between(30, 400) * Day);
        }

        // Of degraded one in two goes through a whole outage within days.
        bool quick = profile.Name != "lite" && chance.Chance(0.5);
        int rotation = quick ? (int)chance.Between(3_600, 43_200) : 86_400;

        // An agent holds 16 secrets in GRACE and rotates no further; orders need some of them.
        int grace = quick ? (int)chance.Between(rotation, 8L * rotation) : 604_800;
        Knobs knobs = new(
            PosEveryS: (int)chance.Between(120, 3_600),
            RotationS: rotation,
            GraceS: grace,
            CheckInS: chance.Chance(0.2) ? (int)chance.Between(60, 3_000) : 900,
            OfflineS: chance.Chance(0.2) ? 7_200 : 86_400,
            TimeoutS: chance.Chance(0.2) ? (int)chance.Between(1, 10) : 30,
            RepeatNonces: (int)chance.Between(0, 200),
            RefuseWithoutAudit: chance.Chance(0.2),
            DriftPpm: chance.Chance(0.5) ? (int)chance.Between(-500, 500) : 0);
        return profile.Name switch
        {
            "ipc" => Crowded(knobs, chance),
            "swarm" => Unusual(knobs, chance),
            "clock" => knobs with { DriftEach = chance.Chance(0.5) },
            _ => knobs,
        };
    }

    /// <summary>What is rare at the usual settings is frequent at these: each is drawn in some of the seeds.</summary>
    private static Knobs Unusual(Knobs knobs, SimRandom chance) => knobs with
    {
        DriftEach = chance.Chance(0.5),
        TimeoutS = chance.Chance(0.2) ? (int)chance.Between(1, 2) : knobs.TimeoutS,

        // Below two intervals a till that misses nothing is OFFLINE.
        OfflineS = chance.Chance(0.2) ? Math.Max(2 * knobs.CheckInS, (int)chance.Between(600, Day)) : knobs.OfflineS,
        OddCalls = chance.Chance(0.2) ? (int)chance.Between(0, 900) : knobs.OddCalls,

        // The memory for nonces is as large as the rate wants it.
        PosRate = chance.Chance(0.2) ? (int)chance.Between(1, 5) : 0,
        Burst = chance.Chance(0.2) ? (int)chance.Between(2, 10) : 1,
        RequestBytes = chance.Chance(0.3) ? 4_096 : 0,
    };

    /// <summary>
    /// Certificates that end are drawn where no state is put back or damaged. A till comes back from both at a time; a
    /// plan of the corpus has that.
    /// </summary>
    private static Knobs WithCertificates(ulong seed, Profile profile, Knobs knobs, IReadOnlyList<PlannedFault> faults)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", "certificates");
        bool isPutBack = faults.Any(
            f => FaultKinds.Tampering.Contains(f.Kind) || f.Kind == FaultKinds.TpmRolledBack);
        return profile.Name == "swarm" && !isPutBack && chance.Chance(0.8)
            ? knobs with { CertificateS = (int)chance.Between(Day / 4, 10 * Day) }
            : knobs;
    }

    /// <summary>
    /// Files of the log are closed and removed in every run of <c>long</c> and <c>fleet</c>, whose memory is that of
    /// the logs, and in some of the others. From a stream of its own: plans without it are as they were.
    /// </summary>
    private static Knobs ShortLog(ulong seed, Profile profile, Knobs knobs)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", "log");
        return profile.Name switch
        {
            "fleet" => knobs with { SegmentKib = SegmentKibMin, RetentionS = 3_600 },
            "long" => knobs with
            {
                SegmentKib = (int)chance.Between(SegmentKibMin, 4_096),
                RetentionS = (int)chance.Between(1, 90) * Day,
            },
            _ => chance.Chance(0.3)
                ? knobs with { SegmentKib = SegmentKibMin, RetentionS = (int)chance.Between(3_600, 3 * Day) }
                : knobs,
        };
    }

    /// <summary>Many who call at once, more of them odd, some tills with little patience.</summary>
    private static Knobs Crowded(Knobs knobs, SimRandom chance) => knobs with
    {
        PosEveryS = (int)chance.Between(120, 900),
        Burst = (int)chance.Between(2, 30),
        OddCalls = (int)chance.Between(100, 900),
        RepeatNonces = (int)chance.Between(100, 500),
        PosRate = chance.Chance(0.5) ? (int)chance.Between(1, 20) : 0,
    };
}
