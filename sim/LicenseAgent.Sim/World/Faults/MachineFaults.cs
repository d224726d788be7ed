using LicenseAgent.Protocol.Management;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World.Faults;

/// <summary>What befalls one machine and the process on it: what is no lasting ailment of a part.</summary>
internal sealed class MachineFaults(SimWorld world)
{
    private const long Second = 1_000_000;
    private const long ComesBackUs = 2 * Second;
    private const int CutsAtSendMax = 4;

    // 2000-01-01, what most dead real-time clocks say; the others say 1970.
    private const long DeadRtcUnixUs = 946_684_800L * Second;

    /// <returns>What ends it.</returns>
    public Action Befall(SimTill till, PlannedFault fault) =>
        Arm(till, fault) ?? OnProcess(till, fault) ?? OnPower(till, fault) ?? OnClock(till, fault)
        ?? Tampering.Of(till, fault) ?? Lasts(fault);

    /// <summary>What comes at a certain time of many.</summary>
    private static Action? Arm(SimTill till, PlannedFault fault)
    {
        Countdown? countdown = fault.Kind switch
        {
            FaultKinds.AnswerLost => till.Link.LoseAnswer,
            FaultKinds.TpmFailsOnce => till.Tpm.Troubles.FailAtCommand,
            FaultKinds.DiskFullOnce => till.Disk.Troubles.FullAtWrite,
            FaultKinds.DiskFailsOnce => till.Disk.Troubles.FailAtStep,
            _ => null,
        };
        countdown?.Arm(fault.Id, fault.Arg);
        if (fault.Kind == FaultKinds.TpmFailsOnce)
        {
            // 1: nothing of it is done; 2: all of it, and the answer is lost; else it is drawn.
            till.Tpm.Troubles.LosesAnswer = fault.Arg2 is 1 or 2 ? fault.Arg2 == 2 : null;
        }

        return countdown is null ? null : () => countdown.Disarm(fault.Id);
    }

    private Action? OnProcess(SimTill till, PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.Kill:
                till.KeepOff(fault.Id);
                till.Kill();
                return () => till.LetStart(fault.Id);
            case FaultKinds.Restart:
                till.KeepOff(fault.Id);
                till.Stop();
                return () => till.LetStart(fault.Id);
            case FaultKinds.RestartLoop:
                return StartAgainAndAgain(till, fault);
            case FaultKinds.Crash:
                bool power = (fault.Arg2 & 2) != 0;
                till.CrashAt(
                    new CrashPoint(Math.Max(1, fault.Arg), (fault.Arg2 & 1) != 0), _ => Fell(till, power), fault.Id);
                return () =>
                {
                    till.CrashNot(fault.Id);
                    till.Start();
                };
            case FaultKinds.Pause:
                till.Pause(fault.Id);
                return () => till.Continue(fault.Id);
            case FaultKinds.Suspend:
                till.Suspend(fault.Id);
                return () => till.Wake(fault.Id);
            case FaultKinds.Reload:
                return Reconfigure(till, fault);
            case FaultKinds.NewerFormat:
                return Formats.Newer(world, till, fault.Arg);
            default:
                return null;
        }
    }

    private Action? OnPower(SimTill till, PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.PowerCut:
                till.KeepOff(fault.Id);
                till.PowerCut();
                return () => till.LetStart(fault.Id);
            case FaultKinds.PowerCutAtSend:
                return CutAtSend(till, fault);
            case FaultKinds.CutOffOnceTold:
                return CutOffOnceTold(till, fault);
            case FaultKinds.Reboot:
                return Reboot(till, fault);
            case FaultKinds.Night:
                return SwitchOffEveryNight(till, fault);
            case FaultKinds.TpmCleared or FaultKinds.TpmReplaced:
                till.PowerCut();
                (fault.Kind == FaultKinds.TpmCleared ? (Action)till.Tpm.Clear : till.Tpm.Replace)();
                till.Start();
                return () => world.EnrolAnew(till);
            case FaultKinds.IdentityDamaged:
                till.KeepOff(fault.Id);
                till.PowerCut();
                Tampering.DamageIdentity(till.Disk, fault.Arg, fault.Arg2);
                return () =>
                {
                    till.LetStart(fault.Id);
                    world.EnrolAnew(till);
                };
            case FaultKinds.TpmNvMissing:
                till.Tpm.RemoveIndices();
                return () => world.EnrolAnew(till);
            default:
                return null;
        }
    }

    private Action? OnClock(SimTill till, PlannedFault fault)
    {
        switch (fault.Kind)
        {
            case FaultKinds.WallStep:
                till.Wall.Move(fault.Id, fault.Arg * Second);
                return () => till.Wall.SetRight(fault.Id);
            case FaultKinds.WallStrobe:
                return Strobe(till, fault);
            case FaultKinds.DeadRtc:
                return StartWithDeadClock(till, fault);
            case FaultKinds.ClockBatteryOut:
                return CutPowerAgainAndAgain(till, fault);
            default:
                return null;
        }
    }

    /// <summary>What lasts is weighed with all that is open; a word that nobody knows is none of it.</summary>
    private static Action Lasts(PlannedFault fault)
    {
        if (!FaultKinds.Are(fault.Kind))
        {
            throw new PlanException($"There is no fault \"{fault.Kind}\".");
        }

        return () => { };
    }

    private Action StartAgainAndAgain(SimTill till, PlannedFault fault)
    {
        bool isOver = false;
        void Again()
        {
            if (isOver)
            {
                return;
            }

            (fault.Arg2 == 0 ? (Action)till.Stop : till.Kill)();
            world.Loop.After(Second, till.Start);
            world.Loop.After(Math.Max(2, fault.Arg) * Second, Again);
        }

        Again();
        return () =>
        {
            isOver = true;
            till.Start();
        };
    }

    /// <summary>
    /// The configuration is another, and the agent is told to read it: at once, or while it opens a new secret.
    /// </summary>
    private Action Reconfigure(SimTill till, PlannedFault fault)
    {
        void Tell() => world.Order(till, "POST", ManagementPaths.Reload, [], (status, _) =>
            world.History.Add(new Ordered(world.Loop.NowUs, till.Id, FaultKinds.Reload, $"{status}")));

        till.Config = SimWorld.ConfigOf(world.Plan.Knobs with { TimeoutS = world.Plan.Knobs.TimeoutS + 1 });
        if (fault.Arg == 0)
        {
            Tell();
        }
        else
        {
            till.AtNextCall(fault.Id, "tpm.unwrap", Tell);
        }

        return () =>
        {
            till.NotAtNextCall(fault.Id);
            till.Config = SimWorld.ConfigOf(world.Plan.Knobs);
            Tell();
        };
    }

    /// <summary>
    /// Somebody pays while a request is composed, and the power goes while it is on its way: what it shows of the log
    /// must be on the disk by then.
    /// </summary>
    private Action CutAtSend(SimTill till, PlannedFault fault)
    {
        int left = CutsAtSendMax;
        void Leave() => world.Loop.After(fault.Arg * 1_000, () =>
        {
            Fell(till, power: true);
            if (--left > 0)
            {
                Arm();
            }
        });
        void Arm() => till.AtNextCall(fault.Id, "tpm.random", () =>
        {
            world.Pos.First(p => p.IsOf(till)).Validate();
            till.RequestLeaves += Leave;
        });
        Arm();
        return () =>
        {
            left = 0;
            till.NotAtNextCall(fault.Id);
            till.RequestLeaves -= Leave;
            till.Start();
        };
    }

    /// <summary>
    /// It has heard something, and acts upon it from now on: also when the power goes before anything else happens, and
    /// nobody can tell it again.
    /// </summary>
    private Action CutOffOnceTold(SimTill till, PlannedFault fault)
    {
        bool isOver = false;
        void Told() => world.Loop.After(fault.Arg * 1_000, () =>
        {
            if (!isOver)
            {
                till.Link.CutOff.Add(fault.Id);
                Fell(till, power: true);
            }
        });
        till.AnswerArrives += Told;
        return () =>
        {
            isOver = true;
            till.AnswerArrives -= Told;
            till.Link.CutOff.Remove(fault.Id);
        };
    }

    /// <summary>Stopped, switched off in an orderly way, and on again.</summary>
    private static Action Reboot(SimTill till, PlannedFault fault)
    {
        till.KeepOff(fault.Id);
        till.SwitchOff();
        return () => till.LetStart(fault.Id);
    }

    /// <summary>Switched off every evening, for as many seconds as the fault says.</summary>
    private Action SwitchOffEveryNight(SimTill till, PlannedFault fault)
    {
        bool isOver = false;
        void Evening()
        {
            if (isOver)
            {
                return;
            }

            till.KeepOff(fault.Id);
            till.SwitchOff();
            world.Loop.After(fault.Arg * Second, () =>
            {
                if (!isOver)
                {
                    till.LetStart(fault.Id);
                }
            });
            world.Loop.After(24 * 3_600 * Second, Evening);
        }

        Evening();
        return () =>
        {
            isOver = true;
            till.LetStart(fault.Id);
        };
    }

    /// <summary>The wall clock flips between two times.</summary>
    private Action Strobe(SimTill till, PlannedFault fault)
    {
        bool isOver = false;
        void Flip(bool away)
        {
            if (!isOver)
            {
                till.Wall.Move(fault.Id, away ? fault.Arg * Second : 0);
                world.Loop.After(Math.Max(1, fault.Arg2) * Second, () => Flip(!away));
            }
        }

        Flip(away: true);
        return () =>
        {
            isOver = true;
            till.Wall.SetRight(fault.Id);
        };
    }

    /// <summary>Off for a while; it starts with a dead clock, which is set right at the end.</summary>
    private Action StartWithDeadClock(SimTill till, PlannedFault fault)
    {
        bool isOver = false;
        till.KeepOff(fault.Id);
        till.PowerCut();
        world.Loop.After((fault.Arg2 > 0 ? Math.Min(fault.Arg2, fault.ForS) : fault.ForS / 2) * Second, () =>
        {
            if (!isOver)
            {
                BeginAnew(till, fault);
                till.LetStart(fault.Id);
            }
        });
        return () =>
        {
            isOver = true;
            till.Wall.SetRight(fault.Id);
            till.LetStart(fault.Id);
        };
    }

    private Action CutPowerAgainAndAgain(SimTill till, PlannedFault fault)
    {
        bool isOver = false;
        void Cut()
        {
            if (isOver)
            {
                return;
            }

            till.KeepOff(fault.Id);
            till.PowerCut();
            world.Loop.After(ComesBackUs, () =>
            {
                if (!isOver)
                {
                    BeginAnew(till, fault);
                    till.LetStart(fault.Id);
                }
            });
            world.Loop.After(fault.Arg * Second, Cut);
        }

        Cut();
        return () =>
        {
            isOver = true;
            till.Wall.SetRight(fault.Id);
            till.LetStart(fault.Id);
        };
    }

    private void BeginAnew(SimTill till, PlannedFault fault)
    {
        long unixUs = fault.Kind == FaultKinds.DeadRtc && fault.Arg == 1970 ? 0 : DeadRtcUnixUs;
        till.Wall.BeginAnew(fault.Id, unixUs - ((SimEpoch.Start.UnixMs * 1_000) + world.Loop.NowUs));
    }

    private void Fell(SimTill till, bool power)
    {
        if (power)
        {
            till.PowerCut();
        }

        world.Loop.After(ComesBackUs, till.Start);
    }
}
