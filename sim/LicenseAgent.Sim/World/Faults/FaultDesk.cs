using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.World.Faults;

/// <summary>
/// Makes the plan's faults happen and ends them. What a fault does belongs to it by its number: its end takes back that,
/// and nothing that another one did.
/// </summary>
internal sealed class FaultDesk
{
    private const long Second = 1_000_000;

    private readonly SimWorld _world;
    private readonly MachineFaults _machines;
    private readonly Copies _copies;
    private readonly List<OpenFault> _open = [];
    private bool _healed;

    public FaultDesk(SimWorld world) =>
        (_world, _machines, _copies) = (world, new MachineFaults(world), new Copies(world));

    public void Schedule(PlannedFault fault)
    {
        if (Copies.Has(fault.Kind))
        {
            // A copy is made some time before it is put back.
            _world.Loop.At(Math.Max(60, fault.AtS - fault.Arg) * Second, () =>
            {
                if (_copies.Take(fault) is { } put)
                {
                    _world.Loop.At(fault.AtS * Second, () => Begin(fault, put));
                }
            });
            return;
        }

        _world.Loop.At(fault.AtS * Second, () => Begin(fault, () => Befall(fault)));
    }

    public void EndAll()
    {
        _healed = true;
        foreach (OpenFault open in _open.Where(o => !o.Fault.IsForGood).ToArray())
        {
            Finish(open);
        }

        foreach (SimTill till in _world.Tills)
        {
            till.Start();
        }
    }

    /// <param name="befall">Makes it happen; what it gives ends it.</param>
    private void Begin(PlannedFault fault, Func<Action> befall)
    {
        if (_healed || HasNobodyToHit(fault))
        {
            return;
        }

        _world.History.Add(new FaultBegan(_world.Loop.NowUs, fault.Till, fault.Id, fault.Kind));
        OpenFault open = new(fault);
        _open.Add(open);
        Weigh(fault);
        open.End = befall();
        _world.Loop.After((Copies.IsOverAtOnce(fault.Kind) ? 0 : fault.ForS) * Second, () =>
        {
            if (_open.Contains(open))
            {
                Finish(open);
            }
        });
    }

    /// <summary>It is done to a process, and none runs: nothing happens, and no checker is told that it did.</summary>
    private bool HasNobodyToHit(PlannedFault fault) =>
        fault.Kind is FaultKinds.Kill or FaultKinds.Restart or FaultKinds.Reboot or FaultKinds.Pause
            or FaultKinds.Suspend
        && !Struck(fault).Any(t => t.IsRunning);

    private void Finish(OpenFault open)
    {
        _open.Remove(open);
        Weigh(open.Fault);
        open.End();
        _world.History.Add(new FaultEnded(_world.Loop.NowUs, open.Fault.Till, open.Fault.Id, open.Fault.Kind));
    }

    /// <summary>Works out anew what ails whom the fault is about.</summary>
    private void Weigh(PlannedFault about)
    {
        if (FaultKinds.IsOfServer(about.Kind))
        {
            Ailments.Of(_world.Server, _open.Select(o => o.Fault));
            return;
        }

        foreach (SimTill till in Struck(about))
        {
            Ailments.Of(till, _open.Select(o => o.Fault).Where(f => f.Till.Length == 0 || f.Till == till.Id));
        }
    }

    private Action Befall(PlannedFault fault)
    {
        if (FaultKinds.IsOfServer(fault.Kind))
        {
            if (fault.Kind == FaultKinds.KeyRollover)
            {
                _world.Server.RollKeys();
            }

            return () => { };
        }

        Action[] ends = [.. Struck(fault).Select(till => _machines.Befall(till, fault))];
        return () => Array.ForEach(ends, end => end());
    }

    private IEnumerable<SimTill> Struck(PlannedFault fault) =>
        _world.Tills.Where(t => fault.Till.Length == 0 || t.Id == fault.Till);

    private sealed class OpenFault(PlannedFault fault)
    {
        public PlannedFault Fault { get; } = fault;

        public Action End { get; set; } = () => { };
    }
}
