using System.Net;
using System.Net.Sockets;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>Who is let in through a socket, and who hears of those that are not.</summary>
/// <param name="TurnedAway">Told of every connection that is not admitted; must not block.</param>
/// <param name="OwnProcess">Connections of this process id are the agent's own; 0: there are none.</param>
internal sealed record DoorRules(
    ConnectionGate Gate, Action<PeerCredentials, Admission> TurnedAway, int OwnProcess);

/// <summary>Kestrel's transport of a Unix socket, with a <see cref="PeerListener"/> at its front.</summary>
/// <param name="bind">Gives a bound socket; listening is begun here.</param>
internal sealed class PeerDoor(Func<Socket> bind, DoorRules rules, TimeProvider time, ILoggerFactory logs)
    : IConnectionListenerFactory
{
    private const int Backlog = 512;

    private readonly ILogger _logger = logs.CreateLogger<PeerDoor>();

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket listening = bind();
        listening.Listen(Backlog);
        return ValueTask.FromResult<IConnectionListener>(
            new PeerListener(endpoint, listening, rules, time, _logger));
    }

    /// <summary>Connection middleware: gives the place back when the connection is over.</summary>
    public async Task OnConnection(ConnectionContext connection, ConnectionDelegate next)
    {
        try
        {
            await next(connection);
        }
        finally
        {
            if (connection.Features.GetRequiredFeature<AdmittedPeer>().Slot is { } slot)
                rules.Gate.Leave(slot);
        }
    }
}

/// <summary>
/// Decides about a peer by what the kernel says of it, before a byte is read and before Kestrel sets anything up:
/// whoever is turned away costs an accept, a constant answer and a close.
/// </summary>
internal sealed class PeerListener(
    EndPoint endpoint, Socket listening, DoorRules rules, TimeProvider time, ILogger logger) : IConnectionListener
{
    // Out of descriptors, accepting fails at once and for as long as none is free.
    private static readonly TimeSpan s_breath = TimeSpan.FromMilliseconds(50);

    private readonly SocketConnectionContextFactory _connections = new(new SocketConnectionFactoryOptions(), logger);
    private readonly Farewell _farewell = new(time);

    public EndPoint EndPoint => endpoint;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                if (Admitted(await listening.AcceptAsync(cancellationToken)) is { } connection)
                    return connection;
            }
            catch (ObjectDisposedException)
            {
                return null;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.OperationAborted)
            {
                return null;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.TooManyOpenSockets)
            {
                await Task.Delay(s_breath, time, cancellationToken);
            }
            catch (SocketException)
            {
                // It was gone before it was accepted.
            }
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        listening.Dispose();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        listening.Dispose();
        await _farewell.DisposeAsync();
        _connections.Dispose();
    }

    /// <returns>The connection; <see langword="null"/> where the peer was turned away.</returns>
    private ConnectionContext? Admitted(Socket socket)
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

        if (rules.OwnProcess != 0 && peer.Pid == rules.OwnProcess)
        {
            // The watchdog asks whether this very path still answers, however many others are connected.
            return Connection(socket, new AdmittedPeer(peer));
        }

        Entrance entrance = rules.Gate.Enter(peer, () => Cut(socket));
        if (entrance.MadeRoom is { } other)
            rules.TurnedAway(other, Admission.MadeRoom);
        if (entrance.Slot is { } slot)
            return Connection(socket, new AdmittedPeer(peer, Slot: slot));
        rules.TurnedAway(peer, entrance.Admission);
        _farewell.Say(socket, entrance.Admission);
        return null;
    }

    private ConnectionContext Connection(Socket socket, AdmittedPeer peer)
    {
        ConnectionContext connection = _connections.Create(socket);
        connection.Features.Set(peer);
        return connection;
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
