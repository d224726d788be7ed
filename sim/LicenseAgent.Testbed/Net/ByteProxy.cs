using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace LicenseAgent.Testbed.Net;

/// <summary>What a network does to what is sent through it.</summary>
public enum NetworkMode
{
    /// <summary>Passes both directions on.</summary>
    Pass,

    /// <summary>Connections are taken and nothing comes through: a partition.</summary>
    Blackhole,

    /// <summary>What the client sends arrives, what the server answers is lost.</summary>
    HalfOpen,

    /// <summary>Connections are closed at once.</summary>
    Refuse,
}

/// <summary>
/// Stands before a TCP server and is the network between. A new mode holds for connections that are open as well;
/// bytes lost under one mode do not return under the next, so a connection that lost some is cut when it passes again.
/// </summary>
public sealed class ByteProxy : IAsyncDisposable
{
    private const int ClientsMax = 256;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<Socket, Task> _clients = [];
    private readonly Task _accepting;
    private readonly int _serverPort;
    private volatile NetworkMode _mode = NetworkMode.Pass;

    private ByteProxy(int serverPort)
    {
        _serverPort = serverPort;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public NetworkMode Mode
    {
        get => _mode;
        set
        {
            NetworkMode before = _mode;
            _mode = value;
            bool isBroken = value == NetworkMode.Refuse
                || (value == NetworkMode.Pass && before is NetworkMode.Blackhole or NetworkMode.HalfOpen);
            foreach (Socket client in isBroken ? _clients.Keys : [])
                client.Dispose();
        }
    }

    public static ByteProxy Start(int serverPort) => new(serverPort);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _accepting;
        _listener.Dispose();
        await Task.WhenAll(_clients.Values);
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_stopping.Token);
                if (_mode == NetworkMode.Refuse || _clients.Count >= ClientsMax)
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
        using Socket server = new(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _serverPort, _stopping.Token);
            using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            Task up = PumpAsync(client, server, NetworkMode.HalfOpen, over.Token);
            Task down = PumpAsync(server, client, NetworkMode.Pass, over.Token);
            await Task.WhenAny(up, down);
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

    /// <param name="alsoIn">The mode besides <see cref="NetworkMode.Pass"/> in which this direction is open.</param>
    private async Task PumpAsync(Socket from, Socket to, NetworkMode alsoIn, CancellationToken cancel)
    {
        byte[] buffer = new byte[16 * 1024];
        int count;
        while ((count = await from.ReceiveAsync(buffer, cancel)) > 0)
        {
            NetworkMode mode = _mode;
            if (mode != NetworkMode.Pass && mode != alsoIn)
                continue;
            for (int sent = 0; sent < count;)
                sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), cancel);
        }
    }
}
