using System.Runtime.InteropServices;
using LicenseServer.Commands;

using var stop = new CancellationTokenSource();
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
var context = new CommandContext(
    TimeProvider.System, Console.Out, Console.Error, Environment.GetEnvironmentVariable, stop.Token);
return await CommandLine.RunAsync(args, context);

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
