using System.CommandLine;
using LicenseAgent.Network;

Option<string> control = new("--control")
{
    Description = "Unix socket on which it is told what to do.",
    DefaultValueFactory = _ => "/run/network/control.sock",
};
Option<string> listen = new("--listen") { Description = "ADDRESS:PORT where clients come.", Required = true };
Option<string> to = new("--to") { Description = "NAME:PORT of the server.", Required = true };
Argument<string> conditions = new("CONDITIONS")
{
    Description = """A JSON object; members not named are off. {} heals. {"mode":"blackhole"}, {"latency_ms":300,"jitter_ms":100}""",
};

Command run = new("run", "Be the network, until SIGTERM or Ctrl-C") { listen, to, control };
run.SetAction((parsed, cancel) => NetworkCommand.RunAsync(
    parsed.GetValue(listen)!, parsed.GetValue(to)!, parsed.GetValue(control)!, cancel));
Command set = new("set", "Set what it does from now on") { conditions, control };
set.SetAction((parsed, cancel) => NetworkCommand.CallAsync(parsed.GetValue(control)!, parsed.GetValue(conditions)!, cancel));
Command show = new("show", "Print what it does") { control };
show.SetAction((parsed, cancel) => NetworkCommand.CallAsync(parsed.GetValue(control)!, "", cancel));
RootCommand root = new("The network between tills and license server, with its faults. For trying out; it sees TLS bytes only.")
{
    run, set, show,
};

ParseResult result = root.Parse(args);
if (result.Errors.Count == 0)
    return await result.InvokeAsync();
foreach (var error in result.Errors)
    Console.Error.WriteLine(error.Message);
return NetworkCommand.Usage;
