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
    // A peer that is still sending when the other side closes may lose the answer (EPIPE), so what it sends is read and
    // discarded until it closes: up to these bounds, for so many peers at a time. Further ones have the answer, and
    // what they have sent until then is read.
    private const int DiscardBytesMax = 64 * 1024, DiscardingMax = 64;
    private static readonly TimeSpan s_discardMax = TimeSpan.FromSeconds(1), s_look = TimeSpan.FromMilliseconds(20),
        s_lookMin = TimeSpan.FromMilliseconds(1);

    private static readonly byte[] s_notAllowed = Response("403 Forbidden", Problems.PeerNotAllowed);
    private static readonly byte[] s_tooMany = Response("503 Service Unavailable", Problems.TooManyConnections);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<Leaving> _leaving = [];
    private readonly byte[] _discarded = new byte[16 * 1024];
    private Task _looking = Task.CompletedTask;
    private long _looked;

    /// <summary>Answers, and closes the socket, now or soon. Never blocks.</summary>
    public void Say(Socket socket, Admission why)
    {
        try
        {
            // A new socket has room for it.
            socket.Blocking = false;
            socket.Send(why == Admission.NotAllowed ? s_notAllowed : s_tooMany);
        }
        catch (SocketException)
        {
            // The peer is gone.
            socket.Dispose();
            return;
        }

        Leaving leaving = new(socket, time.GetTimestamp());
        lock (_gate)
        {
            bool stays = HasRoom_NeedsLock() && !_stop.IsCancellationRequested;
            if (IsOver(leaving) || !stays)
            {
                socket.Dispose();
                return;
            }

            _leaving.Add(leaving);
            if (_looking.IsCompleted)
                _looking = LookAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _looking;
        _stop.Dispose();
    }

    private async Task LookAsync()
    {
        while (true)
        {
            await Task.Delay(s_look, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            lock (_gate)
            {
                Look_NeedsLock();
                if (_leaving.Count == 0)
                {
                    _looking = Task.CompletedTask;
                    return;
                }
            }
        }
    }

    // In a rush the next look is not waited for: who has read the answer has closed.
    private bool HasRoom_NeedsLock()
    {
        if (_leaving.Count >= DiscardingMax && time.GetElapsedTime(_looked) > s_lookMin)
            Look_NeedsLock();
        return _leaving.Count < DiscardingMax;
    }

    private void Look_NeedsLock()
    {
        _looked = time.GetTimestamp();
        foreach (Leaving leaving in _leaving.Where(l => _stop.IsCancellationRequested || IsOver(l)).ToArray())
        {
            _leaving.Remove(leaving);
            leaving.Socket.Dispose();
        }
    }

    // Reads what is there. The peer may have closed, sent too much, or had its time.
    private bool IsOver(Leaving leaving)
    {
        SocketError error;
        do
        {
            int read = leaving.Socket.Receive(_discarded, SocketFlags.None, out error);
            leaving.Discarded += read;
            if (error == SocketError.Success && read == 0)
                return true;
        }
        while (error == SocketError.Success && leaving.Discarded <= DiscardBytesMax);
        return error != SocketError.WouldBlock || time.GetElapsedTime(leaving.Since) > s_discardMax;
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

    private sealed class Leaving(Socket socket, long since)
    {
        public Socket Socket { get; } = socket;

        public long Since { get; } = since;

        public long Discarded { get; set; }
    }
}
