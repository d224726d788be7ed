using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Plans;

/// <summary>
/// Draws the faults of a plan: in bursts, for faults that meet each other find more than faults that do not, and with
/// healthy gaps between the bursts that are most of the time. Some seeds have few faults and some many, one long one is
/// in some, and where there are several tills one is often spared.
/// </summary>
internal sealed class FaultDraw(SimRandom chance, Profile profile, Knobs knobs, int tills, int hours)
{
    private const int BurstsMax = 16;

    private static readonly int[] PortalStatuses = [200, 200, 302, 307, 403, 407, 429, 502, 503, 511];
    private static readonly int[] BareStatuses = [429, 500, 502, 503, 504];

    private readonly long _untilS = hours * 3_600L;

    public List<PlannedFault> Draw(IReadOnlyList<string> kinds)
    {
        if (kinds.Count == 0)
        {
            return [];
        }

        long count = chance.Chance(0.3)
            ? chance.Between(1, Math.Max(1, profile.FaultsMax / 8))
            : chance.Between(1, profile.FaultsMax);
        string[] names = [.. Enumerable.Range(1, tills).Select(SimWorld.NameOf)];
        string spared = tills > 1 && chance.Chance(0.5) ? chance.Pick(names) : "";
        string[] struck = [.. names.Where(n => n != spared)];
        Burst[] bursts = DrawBursts((int)count, struck);
        List<PlannedFault> faults = [];
        for (int i = 1; i <= count; i++)
        {
            faults.Add(DrawFault(i, chance.Pick(kinds), chance.Pick(bursts)));
        }

        if (chance.Chance(profile.Name == "degraded" ? 0.7 : 0.35))
        {
            Prolong(faults);
        }

        return faults;
    }

    /// <summary>What a fault of a kind takes at least to be one.</summary>
    public static long LeastS(string kind) => kind switch
    {
        FaultKinds.Kill or FaultKinds.Restart or FaultKinds.PowerCut or FaultKinds.Pause => 1,
        FaultKinds.Cut or FaultKinds.ServerDown or FaultKinds.Reboot or FaultKinds.DeadRtc => 10,
        FaultKinds.Suspend or FaultKinds.RestartLoop => 60,
        FaultKinds.Crash or FaultKinds.PowerCutAtSend => 1_800,
        FaultKinds.ClockBatteryOut => 7_200,
        _ => 30,
    };

    /// <summary>The longest there is of a kind that can last, seconds; 0: it cannot.</summary>
    private long LongestS(string kind) => kind switch
    {
        // Somewhat more than what a till serves without its server; twice that leads past every grace.
        FaultKinds.Cut or FaultKinds.ServerDown =>
            ((knobs.RotationS * 3L) + knobs.GraceS) * (profile.Name == "degraded" ? 2 : 1),
        FaultKinds.PowerCut or FaultKinds.DeadRtc => 200_000,
        FaultKinds.Pause or FaultKinds.ClockBatteryOut => 172_800,
        FaultKinds.Suspend => 100_000,
        _ => 0,
    };

    private long DrawLength(string kind) => kind switch
    {
        FaultKinds.Kill or FaultKinds.Restart => chance.Between(LeastS(kind), 600),
        FaultKinds.Reboot => chance.Between(LeastS(kind), 36_000),
        FaultKinds.Night => chance.Between(2, 6) * 86_400,
        FaultKinds.Pause => chance.Between(LeastS(kind), 300),
        FaultKinds.DiskStall => chance.Between(LeastS(kind), 600),
        FaultKinds.RestartLoop or FaultKinds.WallStrobe => chance.Between(LeastS(kind), 1_800),
        FaultKinds.PowerCut or FaultKinds.DeadRtc => chance.Between(LeastS(kind), 3_600),
        FaultKinds.Crash or FaultKinds.PowerCutAtSend => chance.Between(LeastS(kind), 7_200),
        FaultKinds.Cut or FaultKinds.ServerDown or FaultKinds.ClockBatteryOut => chance.Between(LeastS(kind), 14_400),
        _ => chance.Between(LeastS(kind), 10_800),
    };

    /// <summary>A third of the time at most, in pieces with gaps of all lengths before, between and after them.</summary>
    private Burst[] DrawBursts(int faults, string[] struck)
    {
        int count = (int)chance.Between(1, Math.Clamp(faults / 2, 1, BurstsMax));
        long[] lengths = [.. Enumerable.Range(0, count).Select(_ => chance.Between(1, 8))];
        long[] gaps = [.. Enumerable.Range(0, count + 1).Select(_ => chance.Between(1, 8))];
        double sick = (_untilS - PlanMaker.QuietS) * chance.Between(5, 33) / 100.0;
        double well = _untilS - PlanMaker.QuietS - sick;
        double at = PlanMaker.QuietS;
        Burst[] bursts = new Burst[count];
        for (int i = 0; i < count; i++)
        {
            at += well * gaps[i] / gaps.Sum();
            double length = sick * lengths[i] / lengths.Sum();
            bursts[i] = new Burst(
                (long)at, (long)(at + length), chance.Chance(0.7) ? [chance.Pick(struck)] : struck);
            at += length;
        }

        return bursts;
    }

    private PlannedFault DrawFault(int id, string kind, Burst burst)
    {
        long room = burst.UntilS - burst.FromS;
        long lasts = Math.Max(LeastS(kind), Math.Min(room, DrawLength(kind)));
        long at = burst.FromS + chance.Below(Math.Max(1, room - lasts + 1));
        string till = FaultKinds.IsOfServer(kind) ? "" : chance.Pick(burst.Tills);
        (long arg, long arg2) = DrawArguments(kind);
        if (kind == FaultKinds.Crash && chance.Chance(0.6))
        {
            // Right where a rotation is likely: the scheduled one.
            at = Math.Min(_untilS - 1, (knobs.RotationS * chance.Between(90, 110) / 100) + PlanMaker.QuietS);
        }

        return new PlannedFault(id, at, lasts, till, kind, arg, arg2);
    }

    /// <summary>One of those that can last does, beyond its burst.</summary>
    private void Prolong(List<PlannedFault> faults)
    {
        int[] lasting = [.. Enumerable.Range(0, faults.Count).Where(i => LongestS(faults[i].Kind) > 0)];
        if (lasting.Length > 0)
        {
            int at = chance.Pick(lasting);
            long lasts = chance.Between(3_600, LongestS(faults[at].Kind));
            faults[at] = faults[at] with { ForS = Math.Max(faults[at].ForS, lasts) };
        }
    }

    private (long Arg, long Arg2) DrawArguments(string kind) => kind switch
    {
        FaultKinds.Loss => (chance.Between(5, 60), 0),
        FaultKinds.Latency => (chance.Between(200, 40_000), 0),
        FaultKinds.Duplicates or FaultKinds.Truncates or FaultKinds.Resets => (chance.Between(10, 100), 0),
        FaultKinds.AnswerLost => (chance.Between(1, 20), 0),
        FaultKinds.Portal => (chance.Pick(PortalStatuses), 0),
        FaultKinds.DnsFlip or FaultKinds.Reload => (chance.Below(2), 0),
        FaultKinds.Clog => (chance.Between(1_000, 60_000), 0),
        FaultKinds.BareStatus => (chance.Pick(BareStatuses), chance.Chance(0.5) ? chance.Between(1, 3_600) : 0),
        FaultKinds.ServerSkew => (chance.Between(-7_200, 7_200), 0),
        FaultKinds.ServerRestored or FaultKinds.ServerStale => (chance.Between(60, 100_000), 0),
        FaultKinds.TpmRolledBack or FaultKinds.DiskRestored => (chance.Between(600, 200_000), 0),
        FaultKinds.TpmSlow => (chance.Between(100, 40_000), 0),
        FaultKinds.TpmFlaky or FaultKinds.TpmBusy => (chance.Between(2, 20), 0),
        FaultKinds.TpmGarbled => (chance.Between(2, 40), 0),
        FaultKinds.TpmFailsOnce or FaultKinds.DiskFullOnce or FaultKinds.DiskFailsOnce => (chance.Between(1, 60), 0),
        FaultKinds.DiskStall => (chance.Between(100, 10_000), 0),
        FaultKinds.AuditTailCut or FaultKinds.AuditLineFlipped or FaultKinds.AuditSwapped => (chance.Between(1, 60), 0),
        FaultKinds.BitRot => (chance.Below(1_000), chance.Below(100_000)),
        FaultKinds.FileTruncated => (chance.Below(1_000), chance.Below(2)),
        FaultKinds.Crash => (chance.Between(1, 60), chance.Between(0, 3)),
        FaultKinds.RestartLoop => (chance.Between(2, 20), chance.Below(2)),
        FaultKinds.ClockBatteryOut => (chance.Between(600, 3_540), 0),
        FaultKinds.DeadRtc => (chance.Chance(0.5) ? 1970 : 2000, chance.Between(1, 1_800)),

        // The log is durable a tenth of a second after a record at the latest: mostly before that.
        FaultKinds.PowerCutAtSend => (chance.Between(0, chance.Chance(0.7) ? 8 : 120), 0),
        FaultKinds.NewerFormat => (chance.Between(0, 2), 0),
        FaultKinds.Night => (chance.Between(8 * 3_600, 14 * 3_600), 0),
        FaultKinds.WallStep => (DrawStepS(), 0),
        FaultKinds.WallStrobe => (DrawStepS(), chance.Between(1, 10)),
        _ => (0, 0),
    };

    private long DrawStepS() => chance.Chance(0.5)
        ? chance.Between(-5L * 365 * 86_400, 5L * 365 * 86_400)
        : chance.Between(-7_200, 7_200);

    /// <summary>A time in which things go wrong, and at which tills.</summary>
    private sealed record Burst(long FromS, long UntilS, string[] Tills);
}
