using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using LicenseAgent.PosLoad;
using LicenseAgent.PosLoad.Load;
using LicenseAgent.Testbed.Baselines;

using CancellationTokenSource stop = new();
using PosixSignalRegistration onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration onTerm = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    // The processes a run is made of.
    switch (args)
    {
        case [EmptyHandler.Command, var socket, var bytes]:
            return await EmptyHandler.RunAsync(socket, int.Parse(bytes, CultureInfo.InvariantCulture));
        case [BareMtls.Command, var port, var certificate, var key, var authority, var length]:
            return await BareMtls.RunAsync(
                int.Parse(port, CultureInfo.InvariantCulture), certificate, key, authority,
                int.Parse(length, CultureInfo.InvariantCulture));
        case [WorkerRun.Command, var plan]:
            using (new ParentWatch(stop))
                return WorkerRun.Run(plan, stop.Token);
        case [HostileClients.Command, var plan]:
            using (new ParentWatch(stop))
                await HostileClients.RunAsync(WorkerRun.Plan(plan), stop.Token);
            return 0;
    }

    Option<string?> scenario = new("--scenario") { Description = "A file as in scenarios/." };
    Option<bool> figures = new("--server-figures") { Description = "Measure what a license server has to reach." };
    Option<string?> at = new("--socket") { Description = "pos.sock of a running agent; else a till is started." };
    Option<string?> tokens = new("--tokens") { Description = "With --socket: a file with one token a line." };
    Option<string> to = new("--out") { Description = "Folder of the reports.", DefaultValueFactory = _ => "artifacts/load" };
    RootCommand root = new("Open-model load on the agent's local API and on the license server.") { scenario, figures, at, tokens, to };
    root.SetAction(parsed => new LoadCommand(new LoadOrder(
        parsed.GetValue(scenario), parsed.GetValue(at), parsed.GetValue(tokens), parsed.GetValue(to)!,
        parsed.GetValue(figures))).RunAsync(stop.Token));
    ParseResult parsed = root.Parse(args);
    int code = await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
    return parsed.Errors.Count > 0 ? LoadCommand.ExitUsage : code;
}
catch (Exception e) when (Ending.Of(e, stop.IsCancellationRequested) is { } ending)
{
    Console.Error.WriteLine(ending.Message);
    return ending.Code;
}

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}
