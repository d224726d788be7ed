using System.Buffers;
using System.Net.Sockets;
using System.Text;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>The constant answer to a peer that is turned away, without an HTTP server.</summary>
internal sealed class Farewell(TimeProvider time) : IAsyncDisposable
{
    // A peer that is still sending when the other side closes may lose the answer (ECONNRESET), so unread input is
    // discarded until the peer closes: up to these bounds, for so many peers at a time. Further ones have the answer,
    // and what they have sent until then is read.
    private const int DiscardBytesMax = 64 * 1024;
    private static readonly TimeSpan s_discardMax = TimeSpan.FromSeconds(1);
    private const int DiscardingMax = 64;

    private static readonly byte[] s_notAllowed = Response("403 Forbidden", Problems.PeerNotAllowed);
    private static readonly byte[] s_tooMany = Response("503 Service Unavailable", Problems.TooManyConnections);

    private readonly CancellationTokenSource _stop = new();
    private readonly byte[] _discarded = new byte[16 * 1024];
    private int _discarding;

    /// <summary>Answers, and closes the socket, now or soon. Never blocks; called by one thread at a time.</summary>
    public void Say(Socket socket, Admission why)
    {
        try
        {
            // A new socket has room for it.
            socket.Blocking = false;
            socket.Send(why == Admission.NotAllowed ? s_notAllowed : s_tooMany);
            socket.Shutdown(SocketShutdown.Send);
            if (Interlocked.Increment(ref _discarding) <= DiscardingMax)
            {
                _ = DiscardAsync(socket);
                return;
            }

            Interlocked.Decrement(ref _discarding);
            socket.Receive(_discarded, SocketFlags.None, out _);
        }
        catch (SocketException)
        {
            // The peer is gone.
        }

        socket.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _stop.Dispose();
    }

    // Whoever waits for the peer ends its own failures.
    private async Task DiscardAsync(Socket socket)
    {
        byte[] into = ArrayPool<byte>.Shared.Rent(4096);
        try
        {
            using CancellationTokenSource limit = new(s_discardMax, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
            int read;
            for (long all = 0; all <= DiscardBytesMax; all += read)
            {
                read = await socket.ReceiveAsync(into, either.Token);
                if (read == 0)
                    break;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The time is up, the peer is gone, or the server stops: either way it has had its answer.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(into);
            socket.Dispose();
            Interlocked.Decrement(ref _discarding);
        }
    }

    private static byte[] Response(string statusLine, Problem problem)
    {
        var body = new ArrayBufferWriter<byte>();
        LocalAnswer answer = Problems.Write(problem, body);
        byte[] head = Encoding.ASCII.GetBytes(
            $"HTTP/1.1 {statusLine}\r\nContent-Type: {answer.ContentType}\r\n"
            + $"Content-Length: {body.WrittenCount}\r\nConnection: close\r\n\r\n");
        return [.. head, .. body.WrittenSpan];
    }
}
