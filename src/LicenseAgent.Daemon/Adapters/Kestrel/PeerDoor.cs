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
