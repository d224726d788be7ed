using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace LicenseAgent.Testbed.Net;

/// <summary>
/// Stands before a TCP or Unix-socket server and is the network between. New conditions hold for connections that are
/// open as well; bytes lost under one mode do not return under the next, so a connection that lost some is cut when it
/// passes again.
/// </summary>
public sealed class ByteProxy : IAsyncDisposable
{
    private const int ClientsMax = 256;

    private readonly Socket _listener;
    private readonly EndPoint _server;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<Socket, Task> _clients = [];
    private readonly Task _accepting;
    private volatile NetworkConditions _conditions = new();
    private int _connections;

    private ByteProxy(Socket listener, EndPoint server, TimeProvider time)
    {
        (_listener, _server, _time) = (listener, server, time);
        _accepting = AcceptAsync();
    }

    /// <summary>Where clients find it.</summary>
    public EndPoint Address => _listener.LocalEndPoint!;

    /// <summary>The port of a listener on TCP.</summary>
    public int Port => ((IPEndPoint)Address).Port;

    public NetworkConditions Conditions
    {
        get => _conditions;
        set
        {
            // What has lost bytes ends before anything passes again; what is refused is, before anything ends.
            bool heals = value.Mode == NetworkMode.Pass
                && _conditions.Mode is NetworkMode.Blackhole or NetworkMode.HalfOpen;
            if (heals)
                Cut();
            _conditions = value;
            if (value.Mode == NetworkMode.Refuse)
                Cut();
        }
    }

    /// <summary>Before a server on loopback, on a free port.</summary>
    public static ByteProxy Start(int serverPort) =>
        Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, serverPort));

    /// <param name="server">May be a name that is looked up for each connection.</param>
    /// <param name="time">What delays are counted in.</param>
    /// <exception cref="SocketException">It cannot listen there.</exception>
    public static ByteProxy Start(EndPoint listen, EndPoint server, TimeProvider? time = null)
    {
        Socket listener = SocketFor(listen);
        try
        {
            listener.Bind(listen);
            listener.Listen(ClientsMax);
            return new ByteProxy(listener, server, time ?? TimeProvider.System);
        }
        catch (Exception)
        {
            listener.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _accepting;
        _listener.Dispose();
        await Task.WhenAll(_clients.Values);
        _stopping.Dispose();
    }

    private void Cut()
    {
        foreach (Socket client in _clients.Keys)
            client.Dispose();
    }

    private static Socket SocketFor(EndPoint address) => address is UnixDomainSocketEndPoint
        ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
        : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptAsync(_stopping.Token);
                if (_conditions.Mode == NetworkMode.Refuse || _clients.Count >= ClientsMax)
                {
                    client.Dispose();
                    continue;
                }

                _clients[client] = Task.CompletedTask;
                _clients.TryUpdate(client, ServeAsync(client), Task.CompletedTask);
            }
        }
        catch (OperationCanceledException)
        {
            // The proxy is being disposed of.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using Socket server = SocketFor(_server);
        try
        {
            await server.ConnectAsync(_server, _stopping.Token);
            using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            int number = Interlocked.Increment(ref _connections);
            Task up = PumpAsync(client, server, answers: false, new Random(2 * number), over.Token);
            Task down = PumpAsync(server, client, answers: true, new Random((2 * number) + 1), over.Token);
            Task[] ends = _conditions.CloseAfterMs is > 0 and var life
                ? [up, down, Task.Delay(TimeSpan.FromMilliseconds(life), _time, over.Token)]
                : [up, down];
            await Task.WhenAny(ends);
            await over.CancelAsync();
            await Task.WhenAll(up, down);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // One side went away: the connection ends, as it would without a proxy.
        }
        finally
        {
            client.Dispose();
            _clients.TryRemove(client, out _);
        }
    }

    /// <param name="jitter">Of this connection and way alone: a run that is repeated is as late as before.</param>
    private async Task PumpAsync(Socket from, Socket to, bool answers, Random jitter, CancellationToken cancel)
    {
        byte[] buffer = new byte[16 * 1024];
        long passed = 0;
        int count;
        while ((count = await from.ReceiveAsync(buffer, cancel)) > 0)
        {
            NetworkConditions now = _conditions;
            if (now.Mode != NetworkMode.Pass && (answers || now.Mode != NetworkMode.HalfOpen))
                continue;
            if (now.LatencyMs + now.JitterMs > 0)
                await DelayAsync(now.LatencyMs + (jitter.NextDouble() * now.JitterMs), cancel);
            Memory<byte> piece = buffer.AsMemory(0, count);
            bool damages = now.Damage(answers);
            if (damages)
            {
                piece = piece[..(int)Math.Min(count, Room(now, passed))];
                Corrupt(piece.Span, passed, now.CorruptEvery);
            }

            await SendAsync(to, piece, now, cancel);
            passed += piece.Length;
            if (damages && Room(now, passed) == 0)
            {
                End(from, to, reset: now.ResetAfterBytes > 0 && passed >= now.ResetAfterBytes);
                return;
            }
        }
    }

    /// <summary>How many bytes may still come through.</summary>
    private static long Room(NetworkConditions now, long passed)
    {
        long close = now.CloseAfterBytes > 0 ? now.CloseAfterBytes - passed : long.MaxValue;
        long reset = now.ResetAfterBytes > 0 ? now.ResetAfterBytes - passed : long.MaxValue;
        return Math.Max(0, Math.Min(close, reset));
    }

    private static void Corrupt(Span<byte> piece, long passed, int every)
    {
        if (every == 0)
            return;
        for (long next = every - 1 - (passed % every); next < piece.Length; next += every)
            piece[(int)next] ^= 1;
    }

    private async Task SendAsync(Socket to, Memory<byte> piece, NetworkConditions now, CancellationToken cancel)
    {
        int slice = now.SliceBytes > 0 ? now.SliceBytes : piece.Length;
        for (int sent = 0; sent < piece.Length; sent += slice)
        {
            Memory<byte> next = piece.Slice(sent, Math.Min(slice, piece.Length - sent));
            if (now.BytesPerSecond > 0)
                await DelayAsync(next.Length * 1000.0 / now.BytesPerSecond, cancel);
            for (int gone = 0; gone < next.Length;)
                gone += await to.SendAsync(next[gone..], cancel);
        }
    }

    private Task DelayAsync(double milliseconds, CancellationToken cancel) =>
        Task.Delay(TimeSpan.FromMilliseconds(milliseconds), _time, cancel);

    private static void End(Socket from, Socket to, bool reset)
    {
        if (!reset)
        {
            to.Shutdown(SocketShutdown.Send);
            return;
        }

        // Closed with time 0 to linger, the kernel sends a reset instead of an orderly end. It is closed once nothing
        // reads from it any more: a socket that is closed under a call is shut down in order first.
        foreach (Socket end in (Socket[])[from, to])
        {
            if (end.AddressFamily != AddressFamily.Unix)
                end.LingerState = new LingerOption(true, 0);
        }
    }
}
