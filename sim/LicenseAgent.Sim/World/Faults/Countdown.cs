namespace LicenseAgent.Sim.World.Faults;

/// <summary>Failures that come at the n-th time from when they were armed, each once and each of its own fault.</summary>
internal sealed class Countdown
{
    private readonly List<(int Fault, long Left)> _armed = [];

    public bool IsArmed => _armed.Count > 0;

    public void Arm(int fault, long inTimes) => _armed.Add((fault, Math.Max(1, inTimes)));

    public void Disarm(int fault) => _armed.RemoveAll(a => a.Fault == fault);

    /// <summary>One time more.</summary>
    /// <returns>One of them falls on it.</returns>
    public bool Falls()
    {
        for (int i = 0; i < _armed.Count; i++)
        {
            _armed[i] = _armed[i] with { Left = _armed[i].Left - 1 };
        }

        return _armed.RemoveAll(a => a.Left == 0) > 0;
    }
}
