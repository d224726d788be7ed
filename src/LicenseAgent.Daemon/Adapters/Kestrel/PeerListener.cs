using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>
/// Decides about a peer by what the kernel says of it, before a byte is read and before Kestrel sets anything up:
/// whoever is turned away costs an accept, a constant answer and a close; who is let in waits for its turn by
/// <see cref="ArrivalPace"/>, on a place of its own.
/// </summary>
internal sealed class PeerListener : IConnectionListener
{
    // Out of descriptors, accepting fails at once and for as long as none is free.
    private static readonly TimeSpan s_breath = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(1);

    // So many in a row, then others have the thread: a queue of hundreds must not delay a request.
    private const int AtOnce = 16;

    private readonly Socket _listening;
    private readonly DoorRules _rules;
    private readonly TimeProvider _time;
    private readonly SocketConnectionContextFactory _connections;
    private readonly Farewell _farewell;
    private readonly ArrivalPace _pace;
    private readonly Channel<ConnectionContext> _ready = Channel.CreateUnbounded<ConnectionContext>();
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();

    // At most as many as there are places.
    private readonly PriorityQueue<(Socket Socket, AdmittedPeer Peer), long> _waiting = new();
    private readonly Task _accepting;
    private Task _handingOver = Task.CompletedTask;

    public PeerListener(EndPoint endpoint, Socket listening, DoorRules rules, TimeProvider time, ILogger logger)
    {
        (EndPoint, _listening, _rules, _time) = (endpoint, listening, rules, time);
        _connections = new SocketConnectionContextFactory(new SocketConnectionFactoryOptions(), logger);
        _farewell = new Farewell(time);
        _pace = new ArrivalPace(time);
        _accepting = AcceptAllAsync();
    }

    public EndPoint EndPoint { get; }

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _ready.Reader.WaitToReadAsync(cancellationToken))
        {
            if (_ready.Reader.TryRead(out ConnectionContext? connection))
                return connection;
        }

        return null;
    }

    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        await _stop.CancelAsync();
        _listening.Dispose();
        await _accepting;
        await _handingOver;
        lock (_gate)
        {
            while (_waiting.TryDequeue(out var waiting, out _))
                GiveUp(waiting.Socket, waiting.Peer);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await UnbindAsync(CancellationToken.None);
        await _farewell.DisposeAsync();
        _connections.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAllAsync()
    {
        await Task.Yield();
        Exception? failed = null;
        try
        {
            for (int row = 1; ; row++)
            {
                if (row % AtOnce == 0)
                    await Task.Yield();
                await AcceptOneAsync();
            }
        }
        catch (Exception) when (_stop.IsCancellationRequested)
        {
            // Unbound.
        }
        catch (Exception e)
        {
            // A bug: Kestrel hears of it where it waits for the next connection.
            failed = e;
        }

        _ready.Writer.Complete(failed);
    }

    private async Task AcceptOneAsync()
    {
        try
        {
            Admit(await _listening.AcceptAsync(_stop.Token));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
        {
            await Task.Delay(s_breath, _time, _stop.Token);
        }
        catch (SocketException) when (!_stop.IsCancellationRequested)
        {
            // It was gone before it was accepted.
        }
    }

    private void Admit(Socket socket)
    {
        PeerCredentials peer;
        try
        {
            peer = PeerSocket.Credentials(socket);
        }
        catch (SocketException)
        {
            socket.Dispose();
            throw;
        }

        if (_rules.OwnProcess != 0 && peer.Pid == _rules.OwnProcess)
        {
            // The watchdog asks whether this very path still answers, however many others are connected.
            HandOver(socket, new AdmittedPeer(peer));
            return;
        }

        Entrance entrance = _rules.Gate.Enter(peer, () => Cut(socket));
        if (entrance.MadeRoom is { } other)
            _rules.TurnedAway(other, Admission.MadeRoom);
        if (entrance.Slot is { } slot)
        {
            Let(socket, new AdmittedPeer(peer, Slot: slot));
            return;
        }

        _rules.TurnedAway(peer, entrance.Admission);
        _farewell.Say(socket, entrance.Admission);
    }

    private void Let(Socket socket, AdmittedPeer peer)
    {
        long due = _pace.DueOf(peer.Credentials.Uid);
        if (due <= _time.GetTimestamp())
        {
            HandOver(socket, peer);
            return;
        }

        lock (_gate)
        {
            _waiting.Enqueue((socket, peer), due);
            if (_handingOver.IsCompleted)
                _handingOver = HandOverAsync();
        }
    }

    private async Task HandOverAsync()
    {
        // The lock of whoever began this is not held from here on.
        await Task.Yield();
        while (!_stop.IsCancellationRequested)
        {
            lock (_gate)
            {
                long now = _time.GetTimestamp();
                while (_waiting.TryPeek(out var waiting, out long due) && due <= now)
                {
                    _waiting.Dequeue();
                    HandOver(waiting.Socket, waiting.Peer);
                }

                if (_waiting.Count == 0)
                {
                    _handingOver = Task.CompletedTask;
                    return;
                }
            }

            await Task.Delay(s_tick, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void HandOver(Socket socket, AdmittedPeer peer)
    {
        ConnectionContext connection = _connections.Create(socket);
        connection.Features.Set(peer);
        if (_ready.Writer.TryWrite(connection))
            return;
        connection.Abort();
        GiveUp(socket, peer);
    }

    private void GiveUp(Socket socket, AdmittedPeer peer)
    {
        if (peer.Slot is { } slot)
            _rules.Gate.Leave(slot);
        socket.Dispose();
    }

    // Kestrel reads the end of the connection, or cannot send, and takes it down. From any thread, without blocking.
    private static void Cut(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It ended by itself.
        }
    }
}
