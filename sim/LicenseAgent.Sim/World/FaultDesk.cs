using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>Makes the plan's faults happen and ends them.</summary>
internal sealed class FaultDesk(SimWorld world)
{
    private const long Second = 1_000_000;

    // 2000-01-01, what a dead real-time clock says.
    private const long DeadRtcUnixUs = 946_684_800L * Second;

    private readonly List<(PlannedFault Fault, Action End)> _open = [];
    private bool _healed;

    public void Schedule(PlannedFault fault)
    {
        if (fault.Kind is FaultKinds.DiskRestored or FaultKinds.TpmRolledBack or FaultKinds.ServerRestored
            or FaultKinds.ServerStale)
        {
            // A copy is made some time before it is put back.
            world.Loop.At(Math.Max(60, fault.AtS - fault.Arg) * Second, () => TakeCopy(fault));
            return;
        }

        world.Loop.At(fault.AtS * Second, () => Begin(fault));
    }

    public void EndAll()
    {
        _healed = true;
        foreach ((PlannedFault fault, Action end) in _open.ToArray())
        {
            Finish(fault, end);
        }

        world.Server.SkewUs = 0;
        foreach (SimTill till in world.Tills)
        {
            till.WallOffsetUs = 0;
            till.Link.End();
            till.Resume();
            till.Start();
        }
    }

    private void Begin(PlannedFault fault)
    {
        if (_healed || HasNobodyToHit(fault))
        {
            return;
        }

        world.History.Add(new FaultBegan(world.Loop.NowUs, fault.Till, fault.Id, fault.Kind));
        List<Action> ends = [];
        if (OnServer(fault) is { } serverEnd)
        {
            ends.Add(serverEnd);
        }
        else
        {
            foreach (SimTill till in world.Tills.Where(t => fault.Till.Length == 0 || t.Id == fault.Till))
            {
                ends.Add(OnTill(till, fault));
            }
        }

        void End() => ends.ForEach(end => end());
        _open.Add((fault, End));
        world.Loop.After(fault.ForS * Second, () =>
        {
            if (_open.Exists(o => o.Fault.Id == fault.Id))
            {
                Finish(fault, End);
            }
        });
    }

    /// <summary>It is done to a process, and none runs: nothing happens, and no checker is told that it did.</summary>
    private bool HasNobodyToHit(PlannedFault fault) =>
        fault.Kind is FaultKinds.Kill or FaultKinds.Restart or FaultKinds.Reboot or FaultKinds.Pause
            or FaultKinds.Suspend
        && !world.Tills.Any(t => t.IsRunning && (fault.Till.Length == 0 || t.Id == fault.Till));

    private void Finish(PlannedFault fault, Action end)
    {
        _open.RemoveAll(o => o.Fault.Id == fault.Id);
        end();
        world.History.Add(new FaultEnded(world.Loop.NowUs, fault.Till, fault.Id, fault.Kind));
    }

    private Action? OnServer(PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.ServerDown:
                world.Server.IsDown = true;
                return () => world.Server.IsDown = false;
            case FaultKinds.Overloaded:
                world.Server.IsOverloaded = true;
                return () => world.Server.IsOverloaded = false;
            case FaultKinds.ServerSkew:
                world.Server.SkewUs = fault.Arg * Second;
                return () => world.Server.SkewUs = 0;
            case FaultKinds.KeyRollover:
                world.Server.RollKeys();
                return () => { };
            default:
                return null;
        }
    }

    private Action OnTill(SimTill till, PlannedFault fault) =>
        OnLink(till.Link, fault) ?? OnTpm(till.Tpm.Troubles, fault) ?? OnDisk(till, fault) ?? OnMachine(till, fault)
        ?? throw new PlanException($"There is no fault \"{fault.Kind}\".");

    private static Action? OnLink(LinkTroubles link, PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.Cut: (link.CutOut, link.CutIn) = (true, true); break;
            case FaultKinds.CutOut: link.CutOut = true; break;
            case FaultKinds.CutIn: link.CutIn = true; break;
            case FaultKinds.Loss: (link.LossOut, link.LossIn) = (fault.Arg / 100.0, fault.Arg / 100.0); break;
            case FaultKinds.Latency: link.LatencyUs = fault.Arg * 1_000; break;
            case FaultKinds.Duplicates: link.Duplicates = fault.Arg / 100.0; break;
            case FaultKinds.Truncates: link.Truncates = fault.Arg / 100.0; break;
            case FaultKinds.AnswerLost: link.LoseAnswer = fault.Arg; break;
            case FaultKinds.Portal: link.Forges = Forgery.Unsigned; break;
            case FaultKinds.Replays: link.Forges = Forgery.Replayed; break;
            case FaultKinds.CrossAgent: link.Forges = Forgery.CrossAgent; break;
            case FaultKinds.Flips: link.Forges = Forgery.Flipped; break;
            default: return null;
        }

        return link.End;
    }

    private static Action? OnTpm(TpmTroubles tpm, PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.TpmAbsent: tpm.Absent = true; break;
            case FaultKinds.TpmLockout: tpm.Lockout = true; break;
            case FaultKinds.TpmSlow: tpm.SlowUs = fault.Arg * 1_000; break;
            case FaultKinds.TpmFailsOnce:
                // 1: nothing of it is done; 2: all of it, and the answer is lost; else it is drawn.
                (tpm.FailAtCommand, tpm.LosesAnswer) = (fault.Arg, fault.Arg2 is 1 or 2 ? fault.Arg2 == 2 : null);
                break;
            case FaultKinds.TpmFlaky: tpm.FlakyOneIn = fault.Arg; break;
            default: return null;
        }

        return tpm.End;
    }

    private static Action? OnDisk(SimTill till, PlannedFault fault)
    {
        DiskTroubles disk = till.Disk.Troubles;
        switch (fault.Kind)
        {
            case FaultKinds.DiskFull: disk.Full = true; break;
            case FaultKinds.DiskFullOnce: disk.FullAtWrite = fault.Arg; break;
            case FaultKinds.DiskFailsOnce: disk.FailAtStep = fault.Arg; break;
            case FaultKinds.DiskUnreadable: disk.FailReads = true; break;
            case FaultKinds.DiskUnsyncable: disk.FailSyncs = true; break;
            case FaultKinds.DiskStall: disk.StallUs = fault.Arg * 1_000; break;
            case FaultKinds.AuditFull:
                till.Audit.Full = true;
                return () => till.Audit.Full = false;
            default: return null;
        }

        return disk.End;
    }

    private Action? OnMachine(SimTill till, PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.Kill:
                till.Kill();
                return till.Start;
            case FaultKinds.PowerCut:
                till.PowerCut();
                return till.Start;
            case FaultKinds.Restart:
                till.Stop();
                return till.Start;
            case FaultKinds.Reboot:
                till.SwitchOff();
                return till.Start;
            case FaultKinds.Night:
                return SwitchOffEveryNight(till, fault.Arg * Second);
            case FaultKinds.Crash:
                bool power = (fault.Arg2 & 2) != 0;
                till.CrashAt(new CrashPoint(Math.Max(1, fault.Arg), (fault.Arg2 & 1) != 0), _ => Fell(till, power));
                return till.Start;
            case FaultKinds.PowerCutAtSend:
                // Somebody pays while a request is composed, and the power goes while it is on its way: what it shows
                // of the log must be on the disk by then.
                till.AtNextCall("tpm.random", () =>
                {
                    world.Pos.First(p => p.IsOf(till)).Validate();
                    till.RequestLeaves = () => world.Loop.After(fault.Arg * 1_000, () => Fell(till, power: true));
                });
                return () =>
                {
                    till.RequestLeaves = null;
                    till.Start();
                };
            case FaultKinds.Pause:
                till.Pause();
                return till.Resume;
            case FaultKinds.Suspend:
                till.Suspend();
                return till.Resume;
            case FaultKinds.WallStep:
                till.WallOffsetUs += fault.Arg * Second;
                return () => till.WallOffsetUs = 0;
            case FaultKinds.DeadRtc:
                till.PowerCut();
                return () => StartIn2000(till);
            case FaultKinds.ClockBatteryOut:
                return CutPowerAgainAndAgain(till, fault.Arg * Second);
            case FaultKinds.TpmCleared or FaultKinds.TpmReplaced:
                till.PowerCut();
                (fault.Kind == FaultKinds.TpmCleared ? (Action)till.Tpm.Clear : till.Tpm.Replace)();
                till.Start();
                return () => world.EnrolAnew(till);
            case FaultKinds.NewerFormat:
                return Formats.Newer(world, till, fault.Arg);
            default:
                return Tampering.Of(till, fault);
        }
    }

    private void StartIn2000(SimTill till)
    {
        till.WallOffsetUs = DeadRtcUnixUs - (SimEpochUnixUs + world.Loop.NowUs);
        till.Start();
    }

    private Action SwitchOffEveryNight(SimTill till, long forUs)
    {
        bool isOver = false;
        void Evening()
        {
            if (isOver)
            {
                return;
            }

            till.SwitchOff();
            world.Loop.After(forUs, () =>
            {
                if (!isOver)
                {
                    till.Start();
                }
            });
            world.Loop.After(24 * 3_600 * Second, Evening);
        }

        Evening();
        return () =>
        {
            isOver = true;
            till.Start();
        };
    }

    private Action CutPowerAgainAndAgain(SimTill till, long everyUs)
    {
        bool isOver = false;
        void Cut()
        {
            if (isOver)
            {
                return;
            }

            till.PowerCut();
            world.Loop.After(2 * Second, () =>
            {
                if (!isOver)
                {
                    StartIn2000(till);
                }
            });
            world.Loop.After(everyUs, Cut);
        }

        (till.Link.CutOut, till.Link.CutIn) = (true, true);
        Cut();
        return () =>
        {
            isOver = true;
            till.WallOffsetUs = 0;
            till.Link.End();
            till.Start();
        };
    }

    private static long SimEpochUnixUs => SimEpoch.Start.UnixMs * 1_000;

    private void Fell(SimTill till, bool power)
    {
        if (power)
        {
            till.PowerCut();
        }

        world.Loop.After(2 * Second, till.Start);
    }

    private void TakeCopy(PlannedFault fault)
    {
        if (fault.Kind is FaultKinds.ServerRestored or FaultKinds.ServerStale)
        {
            var backup = world.Server.Backup();
            world.Loop.At(fault.AtS * Second, () => PutBack(fault, () => PutServerBack(fault, backup)));
            return;
        }

        SimTill till = world.Till(fault.Till);
        IReadOnlyDictionary<string, byte[]> files = till.Disk.Snapshot();
        TpmImage chip = till.Tpm.Snapshot();
        if (!files.ContainsKey("agent.json") || chip.Keys is null || Formats.AreNewer(till.Disk))
        {
            // A backup of a newer program's files would be put back together with that program.
            return;
        }

        world.Loop.At(fault.AtS * Second, () => PutBack(fault, () =>
        {
            till.PowerCut();
            if (fault.Kind == FaultKinds.DiskRestored)
            {
                till.Disk.Restore(files);
            }
            else
            {
                till.Tpm.Restore(chip);
            }

            till.Start();
            return null;
        }));
    }

    /// <returns>What ends it; <see langword="null"/>: it is over at once.</returns>
    private void PutBack(PlannedFault fault, Func<Action?> put)
    {
        if (_healed)
        {
            return;
        }

        world.History.Add(new FaultBegan(world.Loop.NowUs, fault.Till, fault.Id, fault.Kind));
        Action end = put() ?? (() => { });
        _open.Add((fault, end));
        world.Loop.After(fault.Kind == FaultKinds.ServerStale ? fault.ForS * Second : 0, () =>
        {
            if (_open.Exists(o => o.Fault.Id == fault.Id))
            {
                Finish(fault, end);
            }
        });
    }

    /// <summary>Restored for good, or a replica that is behind answers for a while and what it took is lost.</summary>
    private Action? PutServerBack(PlannedFault fault, SortedDictionary<string, AgentBooks> backup)
    {
        var present = world.Server.Backup();
        world.Server.Restore(backup);
        return fault.Kind == FaultKinds.ServerStale ? () => world.Server.Restore(present) : null;
    }
}
