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
                .. FaultKinds.Process, .. FaultKinds.Clock, .. FaultKinds.Tampering, .. FaultKinds.Upgrade,
            ],
            Orders: true),
        new("rotation", 2, 48, 120, 40,
            [.. FaultKinds.Network, .. FaultKinds.Process, .. FaultKinds.Malice, FaultKinds.ServerRestored,
                FaultKinds.ServerStale, FaultKinds.KeyRollover, .. FaultKinds.Upgrade], Orders: true),
        new("degraded", 2, 240, 480, 8,
            [FaultKinds.Cut, FaultKinds.ServerDown, FaultKinds.PowerCut, FaultKinds.Kill, FaultKinds.Portal], Orders: false),
        new("tpm", 2, 48, 120, 24, [.. FaultKinds.Tpm, .. FaultKinds.Process], Orders: false),
        new("disk", 2, 48, 120, 24, [.. FaultKinds.Disk, .. FaultKinds.Process, .. FaultKinds.Tampering], Orders: false),
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

/// <summary>Draws a plan from a seed: which faults are possible at all (swarm), how many, when, how long.</summary>
internal static class PlanMaker
{
    // Enrolment and the first rotation are left alone: a till that never existed proves nothing.
    private const long QuietS = 1_200;
    private const int Day = 86_400;
    private const int SegmentKibMin = 64;

    public static Plan Make(ulong seed, Profile profile)
    {
        SimRandom chance = SimRandom.Of(seed, "plan", profile.Name);
        int tills = profile.Name == "fleet" ? profile.TillsMax : (int)chance.Between(1, profile.TillsMax);
        int hours = (int)chance.Between(profile.HoursMin, profile.HoursMax);
        Knobs knobs = ShortLog(seed, profile, DrawKnobs(chance, profile));
        string[] kinds = [.. profile.Kinds.Distinct().Where(_ => chance.Chance(0.5))];
        List<PlannedFault> faults = [];
        int count = kinds.Length == 0 ? 0 : (int)chance.Between(1, profile.FaultsMax);
        for (int i = 1; i <= count; i++)
        {
            faults.Add(DrawFault(i, chance.Pick(kinds), tills, hours, profile, knobs, chance));
        }

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

        if (profile.Name == "swarm")
        {
            orders.AddRange(InvalidationAtConfirm(seed, orders.Count + 1, tills, hours));
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
                DriftPpm: (int)chance.Between(-100, 100));
        }

        bool quick = profile.Name is not ("lite" or "degraded") && chance.Chance(0.5);
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
        return profile.Name == "ipc" ? Crowded(knobs, chance) : knobs;
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

    private static PlannedFault DrawFault(
        int id, string kind, int tills, int hours, Profile profile, Knobs knobs, SimRandom chance)
    {
        long at = chance.Between(QuietS, hours * 3_600L);
        long lasts = DrawLength(kind, profile, knobs, chance);
        string till = kind is FaultKinds.ServerDown or FaultKinds.Overloaded or FaultKinds.ServerSkew
            or FaultKinds.ServerRestored or FaultKinds.ServerStale or FaultKinds.KeyRollover
            ? ""
            : SimWorld.NameOf((int)chance.Between(1, tills));
        (long arg, long arg2) = DrawArguments(kind, chance);
        if (kind == FaultKinds.Crash && chance.Chance(0.6))
        {
            // Right where a rotation is likely: the scheduled one.
            at = Math.Min((hours * 3_600L) - 1, (knobs.RotationS * chance.Between(90, 110) / 100) + QuietS);
        }

        return new PlannedFault(id, at, lasts, till, kind, arg, arg2);
    }

    private static long DrawLength(string kind, Profile profile, Knobs knobs, SimRandom chance) => kind switch
    {
        FaultKinds.Kill or FaultKinds.Restart => chance.Between(1, 600),
        FaultKinds.PowerCut or FaultKinds.DeadRtc => chance.Between(1, chance.Chance(0.2) ? 200_000 : 3_600),
        FaultKinds.Crash or FaultKinds.PowerCutAtSend => chance.Between(1_800, 7_200),
        FaultKinds.Pause => chance.Between(1, 300),
        FaultKinds.Suspend => chance.Between(60, 100_000),
        FaultKinds.Reboot => chance.Between(30, 36_000),
        FaultKinds.Night => chance.Between(2, 6) * Day,
        FaultKinds.Cut or FaultKinds.ServerDown => chance.Chance(0.2)
            ? chance.Between(3_600, ServedS(knobs) * (profile.Name == "degraded" ? 2 : 1))
            : chance.Between(10, 14_400),
        FaultKinds.DiskStall => chance.Between(30, 600),
        FaultKinds.ClockBatteryOut => chance.Between(7_200, 172_800),
        _ => chance.Between(30, 10_800),
    };

    /// <summary>Somewhat more than what a till serves without its server; twice that leads past every grace.</summary>
    private static long ServedS(Knobs knobs) => (knobs.RotationS * 3L) + knobs.GraceS;

    private static (long Arg, long Arg2) DrawArguments(string kind, SimRandom chance) => kind switch
    {
        FaultKinds.Loss => (chance.Between(5, 60), 0),
        FaultKinds.Latency => (chance.Between(200, 40_000), 0),
        FaultKinds.Duplicates => (chance.Between(10, 100), 0),
        FaultKinds.Truncates => (chance.Between(10, 100), 0),
        FaultKinds.AnswerLost => (chance.Between(1, 20), 0),
        FaultKinds.ServerSkew => (chance.Between(-7_200, 7_200), 0),
        FaultKinds.ServerRestored or FaultKinds.ServerStale => (chance.Between(60, 100_000), 0),
        FaultKinds.TpmRolledBack => (chance.Between(600, 200_000), 0),
        FaultKinds.TpmSlow => (chance.Between(100, 40_000), 0),
        FaultKinds.TpmFlaky => (chance.Between(2, 20), 0),
        FaultKinds.TpmFailsOnce => (chance.Between(1, 60), 0),
        FaultKinds.DiskFullOnce => (chance.Between(1, 60), 0),
        FaultKinds.DiskFailsOnce => (chance.Between(1, 60), 0),
        FaultKinds.DiskStall => (chance.Between(100, 10_000), 0),
        FaultKinds.DiskRestored => (chance.Between(600, 200_000), 0),
        FaultKinds.AuditTailCut => (chance.Between(1, 60), 0),
        FaultKinds.Crash => (chance.Between(1, 60), chance.Between(0, 3)),
        FaultKinds.ClockBatteryOut => (chance.Between(600, 3_540), 0),
        FaultKinds.PowerCutAtSend => (chance.Between(0, 120), 0),
        FaultKinds.NewerFormat => (chance.Between(0, 2), 0),
        FaultKinds.Night => (chance.Between(8 * 3_600, 14 * 3_600), 0),
        FaultKinds.WallStep => (chance.Chance(0.5)
            ? chance.Between(-5L * 365 * 86_400, 5L * 365 * 86_400)
            : chance.Between(-7_200, 7_200), 0),
        _ => (0, 0),
    };
}
