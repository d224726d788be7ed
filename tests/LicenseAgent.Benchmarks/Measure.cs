using System.Runtime.InteropServices;
using LicenseAgent.Benchmarks.Hostile;
using LicenseAgent.Benchmarks.Micro;
using LicenseAgent.Benchmarks.Peers;
using LicenseAgent.Benchmarks.Till;

namespace LicenseAgent.Benchmarks;

/// <summary>Runs what was asked for, one after the other; a signal ends it with nothing left behind.</summary>
internal static class Measure
{
    private const int ExitBroken = 3, ExitInterrupted = 130;

    // A steady load shows what piles up, so it lasts a minute.
    private const int SteadyRounds = 12;

    public static async Task<int> RunAsync(string what, TimeSpan round, bool gate)
    {
        using var stop = new CancellationTokenSource();
        using PosixSignalRegistration onInt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration onTerm = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        if (what is "micro" or "all" && !MicroRun.Run())
            return ExitBroken;
        try
        {
            int exit = what is "agent" or "all" ? await AgentRun.RunAsync(round, gate, stop.Token) : 0;
            if (what is "peers" or "all")
                await PeerRun.RunAsync(round, stop.Token);
            if (what is "steady" or "all")
                await SteadyRun.RunAsync(round * SteadyRounds, stop.Token);
            if (what is "hostile" or "all")
                await HostileRun.RunAsync(round, stop.Token);
            return exit;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Console.Error.WriteLine("Stopped; nothing is left behind.");
            return ExitInterrupted;
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }
}
