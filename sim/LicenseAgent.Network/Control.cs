using System.Text.Json;
using LicenseAgent.Testbed.Net;

namespace LicenseAgent.Network;

/// <summary>What a running network does with a line of its control socket: a JSON object of conditions.</summary>
internal static class Control
{
    public static Task ServeAsync(string path, ByteProxy network, CancellationToken cancel) =>
        ControlSocket.ServeAsync(path, line => Answer(line, network), cancel);

    private static string Answer(string line, ByteProxy network)
    {
        try
        {
            if (line.Length > 0)
                network.Conditions = NetworkConditions.Parse(line);
            return network.Conditions.ToJson();
        }
        catch (JsonException e)
        {
            return ControlSocket.Refusal + e.Message.ReplaceLineEndings(" ");
        }
    }
}
