using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LicenseAgent.Network;
using LicenseAgent.Testbed.Net;

const int Ok = 0, Refused = 1, Usage = 2, Unreachable = 3;

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
run.SetAction((parsed, cancel) => RunAsync(
    parsed.GetValue(listen)!, parsed.GetValue(to)!, parsed.GetValue(control)!, cancel));
Command set = new("set", "Set what it does from now on") { conditions, control };
set.SetAction((parsed, cancel) => CallAsync(parsed.GetValue(control)!, parsed.GetValue(conditions)!, cancel));
Command show = new("show", "Print what it does") { control };
show.SetAction((parsed, cancel) => CallAsync(parsed.GetValue(control)!, "", cancel));
RootCommand root = new("The network between tills and license server, with its faults. For trying out; it sees TLS bytes only.")
{
    run, set, show,
};

ParseResult result = root.Parse(args);
if (result.Errors.Count == 0)
    return await result.InvokeAsync();
foreach (var error in result.Errors)
    Console.Error.WriteLine(error.Message);
return Usage;

static async Task<int> RunAsync(string listen, string to, string control, CancellationToken cancel)
{
    if (!IPEndPoint.TryParse(listen, out IPEndPoint? here) || here.Port == 0)
        return Complain($"--listen {listen} is no ADDRESS:PORT.");
    string[] parts = to.Split(':');
    if (parts.Length != 2 || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int port)
        || port is < 1 or > 65535)
    {
        return Complain($"--to {to} is no NAME:PORT.");
    }

    try
    {
        await using ByteProxy network = ByteProxy.Start(here, new DnsEndPoint(parts[0], port));
        Console.WriteLine($"{here} leads to {to}; told what to do on {control}.");
        await Control.ServeAsync(control, network, cancel);
        return Ok;
    }
    catch (SocketException e)
    {
        Console.Error.WriteLine($"It cannot listen on {listen} or {control}: {e.Message}");
        return Unreachable;
    }
    catch (OperationCanceledException)
    {
        return Ok;
    }
}

static async Task<int> CallAsync(string control, string line, CancellationToken cancel)
{
    try
    {
        string answer = await Control.CallAsync(control, line, cancel);
        Console.WriteLine(answer);
        return answer.StartsWith(Control.Refusal, StringComparison.Ordinal) ? Refused : Ok;
    }
    catch (SocketException e)
    {
        Console.Error.WriteLine($"No network listens on {control}: {e.Message}. Start one with 'run', or name its socket with --control.");
        return Unreachable;
    }
}

static int Complain(string what)
{
    Console.Error.WriteLine(what);
    return Usage;
}
