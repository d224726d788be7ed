using LicenseAgent.MockServer;
using LicenseAgent.Testbed.Servers;

// The real license server with faults around it, from a file, and told on a Unix socket while it runs.
(string? file, string[] asked) = args is ["--faults", var named, ..] ? (named, args[2..]) : (null, args);
if (asked is not [var control, "serve", ..])
{
    Console.Error.WriteLine(
        "Usage: license-server-mock [--faults FILE] CONTROL_SOCKET serve [options of license-server serve]\n"
        + "FILE is a JSON array of faults that hold from the start. A line on the socket is one that replaces those in\n"
        + "force, [] heals, an empty line asks:\n"
        + """  [{"match":"rotate-secret","times":0,"delay":500},{"match":"check-in","malice":"replay"}]""");
    return MockRun.Usage;
}

var faults = new ServerFaults();
try
{
    if (file is not null) faults.Load(file);
}
catch (FormatException e)
{
    Console.Error.WriteLine(e.Message);
    return MockRun.Usage;
}

return await MockRun.ServeAsync(control, asked[1..], faults);
