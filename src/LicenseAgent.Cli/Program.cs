using System.Runtime.InteropServices;
using LicenseAgent.Cli;
using LicenseAgent.Cli.Display;

using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using Stream output = Console.OpenStandardOutput();
var screen = new Screen(output, Console.Error, ScreenForm.OfThisProcess(Environment.GetEnvironmentVariable));
var context = new CliContext(
    screen, Console.OpenStandardInput, Console.IsInputRedirected, TimeProvider.System, stop.Token);
return await CommandLine.RunAsync(args, context);

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
