using System.CommandLine;
using System.Net;

namespace LicenseServer.Commands;

/// <summary><c>healthcheck</c>: asks the management listener of a running server; for containers and scripts.</summary>
internal static class HealthcheckCommand
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    public static Command Create(CommandContext context, Func<ParseResult, IPEndPoint> listen)
    {
        var command = new Command("healthcheck", "Ask the running server whether it is ready");
        command.SetAction((parsed, _) => CheckAsync(context, listen(parsed)));
        return command;
    }

    private static async Task<int> CheckAsync(CommandContext context, IPEndPoint listen)
    {
        using var client = new HttpClient { Timeout = Timeout };
        try
        {
            var page = new Uri($"http://{Reachable(listen)}/readyz");
            using var answer = await client.GetAsync(page, context.Stop);
            context.Output.Write(await answer.Content.ReadAsStringAsync(context.Stop));
            return answer.IsSuccessStatusCode ? CommandLine.Ok : CommandLine.No;
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
        {
            context.Error.WriteLine($"license-server: nothing answers on {listen}: {error.Message}");
            return CommandLine.Unreachable;
        }
    }

    /// <summary>A server that listens everywhere is asked on loopback: one cannot connect to everywhere.</summary>
    private static IPEndPoint Reachable(IPEndPoint listen) =>
        listen.Address.Equals(IPAddress.Any) ? new IPEndPoint(IPAddress.Loopback, listen.Port)
        : listen.Address.Equals(IPAddress.IPv6Any) ? new IPEndPoint(IPAddress.IPv6Loopback, listen.Port)
        : listen;
}
