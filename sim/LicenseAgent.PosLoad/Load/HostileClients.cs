using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Load;

/// <summary>Clients that mean no good: they connect again whenever they are thrown out, until told to stop.</summary>
internal static class HostileClients
{
    public const string Command = "hostile";

    private const int GarbageBytes = 4096;
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50), s_slow = TimeSpan.FromMilliseconds(200);

    public static Task RunAsync(WorkerPlan plan, CancellationToken cancel)
    {
        HostileMix mix = plan.Scenario.Hostile ?? new HostileMix();
        byte[] request = new PosRequest(plan.Tokens.Good[0], "").With(new NonceCounter().Next()).ToArray();
        IEnumerable<Task> Many(int count, Func<Socket, Task> misbehave) =>
            Enumerable.Range(0, count).Select(_ => AgainAsync(plan.Socket, misbehave, cancel));
        return Task.WhenAll(
        [
            .. Many(mix.Garbage, socket => GarbageAsync(socket, cancel)),
            .. Many(mix.Slow, socket => SlowAsync(socket, request, cancel)),
            .. Many(mix.HalfOpen, socket => HalfOpenAsync(socket, request, cancel)),
        ]);
    }

    private static async Task AgainAsync(string path, Func<Socket, Task> misbehave, CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancel);
                await misbehave(socket);
            }
            catch (SocketException)
            {
                // Thrown out, which is what a good server does with it: the next connection follows.
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(s_pause, CancellationToken.None);
        }
    }

    private static async Task GarbageAsync(Socket socket, CancellationToken cancel)
    {
        await socket.SendAsync(RandomNumberGenerator.GetBytes(GarbageBytes), cancel);
        await DrainAsync(socket, cancel);
    }

    private static async Task SlowAsync(Socket socket, byte[] request, CancellationToken cancel)
    {
        await socket.SendAsync(request, cancel);
        byte[] one = new byte[1];
        while (await socket.ReceiveAsync(one, cancel) > 0)
        {
            await Task.Delay(s_slow, cancel);
        }
    }

    private static async Task HalfOpenAsync(Socket socket, byte[] request, CancellationToken cancel)
    {
        int head = Encoding.ASCII.GetString(request).IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        await socket.SendAsync(request.AsMemory(0, head + ((request.Length - head) / 2)), cancel);
        await DrainAsync(socket, cancel);
    }

    private static async Task DrainAsync(Socket socket, CancellationToken cancel)
    {
        byte[] rest = new byte[4096];
        while (await socket.ReceiveAsync(rest, cancel) > 0)
        {
            // Whatever it says; the end of it is what is waited for.
        }
    }
}
