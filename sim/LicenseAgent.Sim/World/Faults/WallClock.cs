namespace LicenseAgent.Sim.World.Faults;

/// <summary>
/// How far a till's wall clock is from the truth. A boot with a dead battery begins at a date of its own; what moved the
/// clock by so much adds to that; whatever a fault did to it goes with the fault.
/// </summary>
internal sealed class WallClock
{
    private readonly List<(int Fault, long Us)> _steps = [];
    private readonly List<(int Fault, long Us)> _dead = [];

    /// <summary>Microseconds.</summary>
    public long OffsetUs => (_dead.Count > 0 ? _dead[^1].Us : 0) + _steps.Sum(s => s.Us);

    /// <summary>It stands so far from the truth on account of the fault, whatever the fault made of it before.</summary>
    public void Move(int fault, long us)
    {
        _steps.RemoveAll(s => s.Fault == fault);
        _steps.Add((fault, us));
    }

    /// <summary>It began anew, so far from the truth.</summary>
    public void BeginAnew(int fault, long us)
    {
        _dead.RemoveAll(d => d.Fault == fault);
        _dead.Add((fault, us));
    }

    /// <summary>What the fault did to it is put right.</summary>
    public void SetRight(int fault)
    {
        _steps.RemoveAll(s => s.Fault == fault);
        _dead.RemoveAll(d => d.Fault == fault);
    }
}
