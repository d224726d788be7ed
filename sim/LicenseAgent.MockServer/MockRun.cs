using System.Runtime.InteropServices;
using LicenseAgent.Testbed.Net;
using LicenseAgent.Testbed.Servers;
using LicenseServer.Commands;
using LicenseServer.Http;
using Microsoft.AspNetCore.Builder;

namespace LicenseAgent.MockServer;

/// <summary>One run of the license server's own <c>serve</c>, with its faults and the socket on which it is told.</summary>
internal static class MockRun
{
    public const int Usage = 2;
    private const int CannotListen = 5;

    public static async Task<int> ServeAsync(string control, string[] serve, ServerFaults faults)
    {
        using var stop = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        Task told = ControlSocket.ServeAsync(control, faults.Tell, stop.Token);
        if (told.Exception is { InnerException: { } failure })
        {
            Console.Error.WriteLine($"It cannot listen on {control}: {failure.Message}");
            return CannotListen;
        }

        int code = await CommandLine.RunAsync(serve, Context(faults, stop.Token));
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
    }

    private static CommandContext Context(ServerFaults faults, CancellationToken stop) => new(
        TimeProvider.System, Console.Out, Console.Error, Environment.GetEnvironmentVariable, stop)
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
}
