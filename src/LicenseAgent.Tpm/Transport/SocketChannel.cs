using System.Net;
using System.Net.Sockets;

namespace LicenseAgent.Tpm.Transport;

/// <summary>A stream socket whose every wait ends at a deadline, also when the peer process is stopped.</summary>
internal sealed class SocketChannel : IDisposable
{
    private readonly Socket _socket;
    private readonly string _peer;

    private SocketChannel(Socket socket, string peer)
    {
        _socket = socket;
        _peer = peer;
    }

    public static SocketChannel Connect(TpmAddress address, int port, Deadline deadline)
    {
        var unix = address.Kind == TpmAddressKind.SwtpmUnix;
        var socket = unix
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        EndPoint end = unix ? new UnixDomainSocketEndPoint(address.Path) : new DnsEndPoint(address.Host, port);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(deadline.Stopping);
            limit.CancelAfter(deadline.Remaining);
            // The worker's thread has nothing else to do; the asynchronous form is the one that can be cancelled.
            socket.ConnectAsync(end, limit.Token).AsTask().GetAwaiter().GetResult();
            return new SocketChannel(socket, address.ToString());
        }
        catch (OperationCanceledException)
        {
            socket.Dispose();
            throw deadline.Passed($"{address} to accept a connection");
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new TpmException(
                TpmFailure.Unavailable,
                $"No TPM answers at {address} ({e.SocketErrorCode}). Start it, or correct tpm.device.",
                0,
                e);
        }
    }

    public bool LooksAlive() => !_socket.Poll(0, SelectMode.SelectRead);

    public void Send(ReadOnlySpan<byte> bytes, Deadline deadline)
    {
        try
        {
            while (bytes.Length > 0)
            {
                if (!_socket.Poll(deadline.NextSliceMs($"{_peer} to take a command") * 1000, SelectMode.SelectWrite))
                    continue;
                bytes = bytes[_socket.Send(bytes)..];
            }
        }
        catch (SocketException e)
        {
            throw Lost(e);
        }
    }

    /// <summary>Fills the whole span.</summary>
    public void Receive(Span<byte> bytes, Deadline deadline)
    {
        try
        {
            while (bytes.Length > 0)
            {
                if (!_socket.Poll(deadline.NextSliceMs($"an answer of {_peer}") * 1000, SelectMode.SelectRead))
                    continue;
                var count = _socket.Receive(bytes);
                if (count == 0) throw Lost(null);
                bytes = bytes[count..];
            }
        }
        catch (SocketException e)
        {
            throw Lost(e);
        }
    }

    public void Dispose() => _socket.Dispose();

    private TpmException Lost(SocketException? e) => new(
        TpmFailure.Unavailable,
        $"The TPM at {_peer} closed the connection{(e is null ? "" : $" ({e.SocketErrorCode})")}. "
        + "The agent reconnects; if it lasts, check that the TPM or its emulator runs.",
        0,
        e);
}
