using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LicenseAgent.Testbed.Net;

namespace LicenseAgent.Network;

/// <summary>What the program does, each with its exit code.</summary>
internal static class NetworkCommand
{
    public const int Usage = 2;
    private const int Ok = 0, Refused = 1, Unreachable = 3;

    /// <summary>Is the network until cancelled.</summary>
    public static async Task<int> RunAsync(string listen, string to, string control, CancellationToken cancel)
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

    /// <summary>Tells or asks a running network, and prints what holds.</summary>
    public static async Task<int> CallAsync(string control, string line, CancellationToken cancel)
    {
        try
        {
            string answer = await ControlSocket.CallAsync(control, line, cancel);
            Console.WriteLine(answer);
            return answer.StartsWith(ControlSocket.Refusal, StringComparison.Ordinal) ? Refused : Ok;
        }
        catch (SocketException e)
        {
            Console.Error.WriteLine($"No network listens on {control}: {e.Message}. Start one with 'run', or name its socket with --control.");
            return Unreachable;
        }
    }

    private static int Complain(string what)
    {
        Console.Error.WriteLine(what);
        return Usage;
    }
}
