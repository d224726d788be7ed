using System.Runtime.InteropServices;
using LicenseAgent.Testbed.Net;
using LicenseAgent.Testbed.Servers;
using LicenseServer.Commands;
using LicenseServer.Http;
using Microsoft.AspNetCore.Builder;

// The real license server with faults around it, which it is told on a Unix socket: license-server-mock SOCKET serve …
if (args is not [var control, "serve", ..])
{
    Console.Error.WriteLine(
        "Usage: license-server-mock CONTROL_SOCKET serve [options of license-server serve]\n"
        + "A line on the socket is a JSON array of faults that replaces those in force, [] heals, an empty line asks:\n"
        + """  [{"match":"rotate-secret","times":0,"delay":500},{"match":"check-in","malice":"replay"}]""");
    return 2;
}

using var stop = new CancellationTokenSource();
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
var faults = new ServerFaults();
var context = new CommandContext(
    TimeProvider.System, Console.Out, Console.Error, Environment.GetEnvironmentVariable, stop.Token)
{
    Open = async (options, loggers) =>
    {
        ServerApp app = await ServerApp.CreateAsync(
            options, TimeProvider.System, loggers: loggers,
            around: web => web.Use(next => http => faults.InvokeAsync(http, next)));
        faults.ResponseKey = () => app.Store.Keys.Response;
        return app;
    },
};
Task told = ControlSocket.ServeAsync(control, faults.Tell, stop.Token);
if (told.Exception is { InnerException: { } failure })
{
    Console.Error.WriteLine($"It cannot listen on {control}: {failure.Message}");
    return 5;
}

int code = await CommandLine.RunAsync(args[1..], context);
await stop.CancelAsync();
try
{
    await told;
}
catch (OperationCanceledException)
{
    // It was stopped with the server.
}

return code;

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
