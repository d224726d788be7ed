using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World.Faults;

/// <summary>
/// What lasts as long as its fault does. It is made anew of all the faults that are open whenever one begins or ends, so
/// that the end of one is never the end of another; of two of a kind the worse holds, and of two that exclude each
/// other the later.
/// </summary>
internal static class Ailments
{
    private const long Second = 1_000_000;

    public static void Of(SimTill till, IEnumerable<PlannedFault> open)
    {
        till.Link.Ease();
        till.Tpm.Troubles.Ease();
        till.Disk.Troubles.Ease();
        till.Audit.Full = false;
        foreach (PlannedFault fault in open)
        {
            Add(till, fault);
        }
    }

    public static void Of(SimServer server, IEnumerable<PlannedFault> open)
    {
        ServerTroubles troubles = server.Troubles;
        troubles.Ease();
        foreach (PlannedFault fault in open)
        {
            switch (fault.Kind)
            {
                case FaultKinds.ServerDown: troubles.IsDown = true; break;
                case FaultKinds.Overloaded: troubles.IsOverloaded = true; break;
                case FaultKinds.ServerSkew: troubles.SkewUs = fault.Arg * Second; break;
                case FaultKinds.ServerCertificate when fault.Arg == 0:
                    troubles.CertificateEnds = SimEpoch.Start + TimeSpan.FromSeconds(fault.AtS);
                    break;
                case FaultKinds.ServerCertificate: troubles.IsOfAnotherAuthority = true; break;
                case FaultKinds.BareStatus:
                    (troubles.BareStatus, troubles.BareRetryAfterS) = ((int)fault.Arg, fault.Arg2);
                    break;
                default: break;
            }
        }
    }

    private static void Add(SimTill till, PlannedFault fault)
    {
        AddToLink(till.Link, fault);
        AddToTpm(till.Tpm.Troubles, fault);
        DiskTroubles disk = till.Disk.Troubles;
        switch (fault.Kind)
        {
            case FaultKinds.DiskFull: disk.Full = true; break;
            case FaultKinds.DiskReadOnly: disk.IsReadOnly = true; break;
            case FaultKinds.DiskUnreadable: disk.FailReads = true; break;
            case FaultKinds.DiskUnsyncable: disk.FailSyncs = true; break;
            case FaultKinds.DiskStall: disk.StallUs = Math.Max(disk.StallUs, fault.Arg * 1_000); break;
            case FaultKinds.AuditFull: till.Audit.Full = true; break;
            default: break;
        }
    }

    private static void AddToLink(LinkTroubles link, PlannedFault fault)
    {
        double share = fault.Arg / 100.0;
        switch (fault.Kind)
        {
            case FaultKinds.Cut or FaultKinds.ClockBatteryOut: (link.CutOut, link.CutIn) = (true, true); break;
            case FaultKinds.CutOut: link.CutOut = true; break;
            case FaultKinds.CutIn: link.CutIn = true; break;
            case FaultKinds.Refused: link.NoWay = NoWay.Refused; break;
            case FaultKinds.DnsFlip: link.NoWay = fault.Arg == 0 ? NoWay.NoName : NoWay.Stranger; break;
            case FaultKinds.Loss:
                (link.LossOut, link.LossIn) = (Math.Max(link.LossOut, share), Math.Max(link.LossIn, share));
                break;
            case FaultKinds.Latency: link.LatencyUs = Math.Max(link.LatencyUs, fault.Arg * 1_000); break;
            case FaultKinds.Duplicates: link.Duplicates = Math.Max(link.Duplicates, share); break;
            case FaultKinds.Truncates: link.Truncates = Math.Max(link.Truncates, share); break;
            case FaultKinds.Resets:
                // Half of the time on the way there, and what gets through on the way back.
                (link.ResetsOut, link.ResetsIn) = (Math.Max(link.ResetsOut, share / 2), Math.Max(link.ResetsIn, share));
                break;
            case FaultKinds.Clog: link.MessageUs = Math.Max(link.MessageUs, fault.Arg * 1_000); break;
            case FaultKinds.Portal:
                // Plans from before it had a status say none.
                (link.Forges, link.ForgedStatus) = (Forgery.Unsigned, fault.Arg == 0 ? 200 : (int)fault.Arg);
                break;
            case FaultKinds.Replays: link.Forges = Forgery.Replayed; break;
            case FaultKinds.CrossAgent: link.Forges = Forgery.CrossAgent; break;
            case FaultKinds.Flips: link.Forges = Forgery.Flipped; break;
            case FaultKinds.Huge: link.Forges = Forgery.Huge; break;
            case FaultKinds.Downgrades: link.Forges = Forgery.Downgrade; break;
            case FaultKinds.RevokeStorm: link.Forges = Forgery.RevokeStorm; break;
            default: break;
        }
    }

    private static void AddToTpm(TpmTroubles tpm, PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.TpmAbsent: tpm.Absent = true; break;
            case FaultKinds.TpmLockout: tpm.Lockout = true; break;
            case FaultKinds.TpmNoHandles: tpm.HasNoHandles = true; break;
            case FaultKinds.TpmSlow: tpm.SlowUs = Math.Max(tpm.SlowUs, fault.Arg * 1_000); break;
            case FaultKinds.TpmFlaky: tpm.FlakyOneIn = Sooner(tpm.FlakyOneIn, fault.Arg); break;
            case FaultKinds.TpmGarbled: tpm.GarbledOneIn = Sooner(tpm.GarbledOneIn, fault.Arg); break;
            case FaultKinds.TpmBusy: tpm.BusyOneIn = Sooner(tpm.BusyOneIn, fault.Arg); break;
            default: break;
        }
    }

    private static long Sooner(long oneIn, long other) => oneIn == 0 ? other : Math.Min(oneIn, other);
}
