using System.Globalization;
using LicenseAgent.Benchmarks;
using LicenseAgent.Benchmarks.Hostile;
using LicenseAgent.Benchmarks.Peers;
using LicenseAgent.Testbed.Baselines;

const string Usage = """
    usage: LicenseAgent.Benchmarks [micro|agent|peers|steady|hostile|all] [--seconds N] [--gate]
      micro      single calls, by BenchmarkDotNet
      agent      the real agent with swtpm and a license server, beside an empty handler
      peers      the agent beside a raw socket, an empty handler, ssh-agent and a Node daemon with npm's jose
      steady     5000 validations a second for a minute, beside an empty handler; memory under that load
      hostile    good clients alone and beside 500 hostile connections; needs root
      --seconds  length of a round, 1 to 5 (5); 'steady' is twelve times as long
      --gate     exit 1 when the ratio to the empty handler is below the gate
    """;

// Started by 'agent' itself.
if (args is [EmptyHandler.Command, var socket, var bytes])
    return await EmptyHandler.RunAsync(socket, int.Parse(bytes, CultureInfo.InvariantCulture));
if (args is [RawAnswer.Command, var raw, var asked, var answered])
    return RawAnswer.Run(raw, int.Parse(asked, CultureInfo.InvariantCulture), int.Parse(answered, CultureInfo.InvariantCulture));
if (args is [Crowd.Command, var crowded])
    return Crowd.Run(crowded);

string what = "all";
int seconds = 5;
bool gate = false;
for (int i = 0; i < args.Length; i++)
{
    if (args[i] is "micro" or "agent" or "peers" or "steady" or "hostile" or "all")
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

return await Measure.RunAsync(what, TimeSpan.FromSeconds(seconds), gate);
