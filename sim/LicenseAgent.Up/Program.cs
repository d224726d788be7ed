using System.CommandLine;
using System.Runtime.InteropServices;
using LicenseAgent.Up;

var once = new Option<bool>("--once") { Description = "Run the guided tour once; exit 0 only if every step was seen." };
var agents = new Option<int>("--agents") { Description = "Tills to start (1 to 16).", DefaultValueFactory = _ => 1 };
var pos = new Option<int>("--pos") { Description = "Validations a second and till (1 to 5000).", DefaultValueFactory = _ => 50 };
var fault = new Option<string?>("--fault")
{
    Description = "Repeat a fault while it runs: " + string.Join(", ", Faults.Names) + ".",
};
agents.Validators.Add(result => Range(result, agents, 1, 16));
pos.Validators.Add(result => Range(result, pos, 1, 5000));
fault.Validators.Add(result =>
{
    if (result.GetValue(fault) is { } name && !Faults.Names.Contains(name))
        result.AddError($"There is no fault {name}; there are {string.Join(", ", Faults.Names)}.");
});
var root = new RootCommand("The whole License Secret Agent on this machine: TPM emulator, license server, agents, applications.")
{
    once, agents, pos, fault,
};
root.SetAction(async (parsed, cancel) =>
{
    using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
    using PosixSignalRegistration onTerm = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
    {
        signal.Cancel = true;
        stop.Cancel();
    });
    var show = new Screen();
    try
    {
        return parsed.GetValue(once)
            ? await new Tour(show).RunAsync(stop.Token)
            : await new Live(show, parsed.GetValue(agents), parsed.GetValue(pos), parsed.GetValue(fault))
                .RunAsync(stop.Token);
    }
    catch (OperationCanceledException) when (stop.IsCancellationRequested)
    {
        show.Line("Stopped; nothing is left behind.");
        return 0;
    }
});
ParseResult parsed = root.Parse(args);
return parsed.Errors.Count > 0 ? Usage(parsed) : await parsed.InvokeAsync();

static void Range(System.CommandLine.Parsing.OptionResult result, Option<int> option, int low, int high)
{
    if (result.GetValue(option) is var value && (value < low || value > high))
        result.AddError($"{option.Name} takes {low} to {high}.");
}

static int Usage(ParseResult parsed)
{
    foreach (var error in parsed.Errors) Console.Error.WriteLine(error.Message);
    Console.Error.WriteLine("See sim/up --help.");
    return 2;
}
