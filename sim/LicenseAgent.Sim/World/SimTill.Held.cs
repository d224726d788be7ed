using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World;

/// <summary>
/// What keeps a till from running, and what is to befall it at a certain call. Each belongs to the fault that did it,
/// by its number: whoever lets go, lets go of his own, and the till goes on when nobody holds it any more.
/// </summary>
internal sealed partial class SimTill
{
    private readonly HashSet<int> _off = [];
    private readonly HashSet<int> _paused = [];
    private readonly HashSet<int> _asleep = [];
    private readonly List<ArmedCrash> _crashes = [];
    private readonly List<(int Fault, string Port, Action Then)> _atNext = [];
    private bool _startAgain;
    private bool _startAwake;

    /// <summary>Paused or asleep.</summary>
    public bool IsStopped => _paused.Count > 0 || _asleep.Count > 0;

    /// <summary>Nobody starts anything here until it is let.</summary>
    public void KeepOff(int fault) => _off.Add(fault);

    /// <summary>Starts it, unless another one keeps it off.</summary>
    public void LetStart(int fault)
    {
        _off.Remove(fault);
        Start();
    }

    /// <summary>SIGSTOP; it goes with the process.</summary>
    public void Pause(int fault)
    {
        if (_life is { IsOver: false } life)
        {
            _paused.Add(fault);
            life.Context.Stop();
        }
    }

    public void Continue(int fault)
    {
        if (_paused.Remove(fault) && !IsStopped)
        {
            _life?.Context.Continue();
        }
    }

    /// <summary>The machine sleeps, if it is on.</summary>
    public void Suspend(int fault)
    {
        if (Boot is not { } boot)
        {
            return;
        }

        _asleep.Add(fault);
        if (IsRunning)
        {
            _clock!.Suspend();
        }
        else
        {
            boot.Suspend();
        }
    }

    public void Wake(int fault)
    {
        if (!_asleep.Remove(fault) || _asleep.Count > 0)
        {
            return;
        }

        if (!IsRunning)
        {
            Boot?.Resume();
        }
        else if (_paused.Count > 0)
        {
            _clock!.Wake();
        }
        else
        {
            _clock!.Resume();
            LookAfterWaking();
        }

        if (_startAwake)
        {
            _startAwake = false;
            Start();
        }
    }

    /// <summary>
    /// The process, or where none runs the next one, dies at a call of a port from now; what then happens is the
    /// caller's to say. One that is armed while another waits comes in the process after that one.
    /// </summary>
    public void CrashAt(CrashPoint inCalls, Action<CrashPoint> then, int fault = 0)
    {
        _crashes.Add(new ArmedCrash(fault, inCalls, then));
        if (_crashes.Count == 1)
        {
            ArmCrash();
        }
    }

    public void CrashNot(int fault)
    {
        bool isNext = _crashes.Count > 0 && _crashes[0].Fault == fault;
        _crashes.RemoveAll(c => c.Fault == fault);
        if (isNext)
        {
            ArmCrash();
        }
    }

    /// <summary>Nothing is to die any more.</summary>
    public void CrashNever()
    {
        _crashes.Clear();
        ArmCrash();
    }

    /// <summary>Told once, when a port of this name is called next.</summary>
    public void AtNextCall(int fault, string port, Action then) => _atNext.Add((fault, port, then));

    public void NotAtNextCall(int fault) => _atNext.RemoveAll(n => n.Fault == fault);

    private void TellNextCall(string port)
    {
        if (_atNext.Count > 0)
        {
            (int Fault, string Port, Action Then)[] due = [.. _atNext.Where(n => n.Port == port)];
            _atNext.RemoveAll(n => n.Port == port);
            foreach ((_, _, Action then) in due)
            {
                then();
            }
        }
    }

    /// <summary>What is asleep starts nothing, and does when it wakes.</summary>
    private bool IsKeptOff()
    {
        _startAwake |= _asleep.Count > 0;
        return _off.Count > 0 || _asleep.Count > 0;
    }

    private void TurnOff()
    {
        Boot = null;
        _asleep.Clear();
        _startAwake = false;
    }

    /// <summary>What held the process goes with it.</summary>
    private void Forget()
    {
        _paused.Clear();
        if (_startAgain && !_isGoingOff)
        {
            _startAgain = false;
            StartAgain(1_000_000);
        }
    }

    /// <summary>Whoever sleeps or is stopped goes on, whatever held him.</summary>
    private void WakeUp()
    {
        _paused.Clear();
        _asleep.Clear();
        if (IsRunning)
        {
            _clock!.Resume();
        }
        else
        {
            Boot?.Resume();
        }
    }

    private void ArmCrash() => _life?.CrashAfter(_crashes.Count > 0 ? _crashes[0].Point : null);

    private void OnCrashPoint(CrashPoint at)
    {
        // A call under way when its crash was called off dies all the same: its answer is gone.
        Action<CrashPoint> then = _crashes.Count > 0 ? _crashes[0].Then : _ => _loop.After(2_000_000, Start);
        _crashes.RemoveRange(0, Math.Min(1, _crashes.Count));
        Kill();
        then(at);
    }

    private sealed record ArmedCrash(int Fault, CrashPoint Point, Action<CrashPoint> Then);
}
