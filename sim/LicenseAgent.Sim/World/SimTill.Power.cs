using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World;

/// <summary>How processes of a till and the machine itself are stopped, by whoever does that.</summary>
internal sealed partial class SimTill
{
    // As systemd has it (TimeoutStopSec): then the process is killed.
    private const long StopWithinUs = 90_000_000;

    private bool _isGoingOff;

    /// <summary>kill -9: what was written stays, what was promised in memory is gone.</summary>
    public void Kill() => End(EndOf.Kill);

    /// <summary>The plug is pulled.</summary>
    public void PowerCut()
    {
        bool ran = _life is { IsOver: false };
        _isGoingOff = false;
        End(EndOf.PowerCut);
        if (Boot is not null)
        {
            // What the disk forgets counts from here, even where a kill at a call of a port came first.
            if (!ran)
            {
                _history.Add(new Ended(_loop.NowUs, Id, EndOf.PowerCut, "no process ran"));
            }

            TurnOff();
            Disk.PowerCut(_kills);
            Audit.PowerCut(_kills);
            Tpm.PowerDown(orderly: false);
        }
    }

    /// <summary>SIGTERM; the process ends by itself, later.</summary>
    public void Stop() => _stop?.Cancel();

    /// <summary>
    /// The machine is switched off by its system: the process is told to stop, and killed if that takes too long. Who
    /// sleeps is woken for it.
    /// </summary>
    public void SwitchOff()
    {
        WakeUp();
        if (!IsRunning)
        {
            ShutDown();
            return;
        }

        _isGoingOff = true;
        SimBoot? boot = Boot;
        Stop();
        _loop.After(StopWithinUs, () =>
        {
            if (_isGoingOff && ReferenceEquals(boot, Boot))
            {
                End(EndOf.Kill);
            }
        });
    }

    /// <summary>No process runs any more: the file systems are unmounted, and the TPM saves its clock.</summary>
    private void ShutDown()
    {
        _isGoingOff = false;
        if (Boot is not null)
        {
            TurnOff();
            Disk.Unmount();
            Audit.Unmount();
            Tpm.PowerDown(orderly: true);
            _history.Add(new Ended(_loop.NowUs, Id, EndOf.ShutDown, ""));
        }

        if (_startAgain)
        {
            _startAgain = false;
            _loop.After(1_000_000, Start);
        }
    }
}
