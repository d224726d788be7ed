using System.Globalization;
using System.Runtime.InteropServices;
using LicenseAgent.Benchmarks.Micro;
using LicenseAgent.Benchmarks.Till;
using LicenseAgent.Testbed.Baselines;

const string Usage = """
    usage: LicenseAgent.Benchmarks [micro|agent|all] [--seconds N] [--gate]
      micro      single calls, by BenchmarkDotNet
      agent      the real agent with swtpm and a license server, beside an empty handler
      --seconds  length of a round of 'agent', 1 to 5 (5)
      --gate     exit 1 when the ratio to the empty handler is below the gate
    """;

// Started by 'agent' itself.
if (args is [EmptyHandler.Command, var socket, var bytes])
    return await EmptyHandler.RunAsync(socket, int.Parse(bytes, CultureInfo.InvariantCulture));

string what = "all";
int seconds = 5;
bool gate = false;
for (int i = 0; i < args.Length; i++)
{
    if (args[i] is "micro" or "agent" or "all")
    {
        what = args[i];
    }
    else if (args[i] == "--gate")
    {
        gate = true;
    }
    else if (args[i] != "--seconds" || ++i == args.Length || !int.TryParse(args[i], out seconds)
        || seconds is < 1 or > 5)
    {
        Console.Error.WriteLine(Usage);
        return 2;
    }
}

using var stop = new CancellationTokenSource();
using PosixSignalRegistration onInt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration onTerm = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
if (what is "micro" or "all" && !MicroRun.Run())
    return 3;
try
{
    return what is "agent" or "all" ? await AgentRun.RunAsync(TimeSpan.FromSeconds(seconds), gate, stop.Token) : 0;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine("Stopped; nothing is left behind.");
    return 130;
}

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
