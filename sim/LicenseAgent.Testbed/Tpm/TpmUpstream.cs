using System.Net.Sockets;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>
/// The proxy's one connection to the TPM, made when a command needs it. A read is always pending on it, so that the
/// death of the TPM is noticed at once and passed on to the clients, as it would be without a proxy.
/// One exchange at a time; the proxy's turn sees to that.
/// </summary>
internal sealed class TpmUpstream(string socketPath, Action onLost, CancellationToken stopping)
{
    private readonly Lock _lock = new();
    private Socket? _socket;
    private Task _reading = Task.CompletedTask;
    private TaskCompletionSource<byte[]>? _waiting;

    public async Task<byte[]> ExchangeAsync(byte[] command)
    {
        var socket = await ConnectedAsync();
        var answer = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_socket != socket) throw new EndOfStreamException("the TPM is gone");
            _waiting = answer;
        }

        await TpmStream.WriteAsync(socket, command, stopping);
        return await answer.Task;
    }

    /// <summary>Ends the reading; its token has been cancelled before.</summary>
    public Task StopAsync() => _reading;

    private async Task<Socket> ConnectedAsync()
    {
        lock (_lock)
        {
            if (_socket is { } connected) return connected;
        }

        await _reading;
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), stopping);
        }
        catch (SocketException)
        {
            socket.Dispose();
            throw;
        }

        lock (_lock) _socket = socket;
        _reading = ReadAsync(socket);
        return socket;
    }

    private async Task ReadAsync(Socket socket)
    {
        Exception reason = new EndOfStreamException("the TPM closed the connection");
        try
        {
            while (await TpmStream.ReadFrameAsync(socket, stopping) is { } response) Take()?.TrySetResult(response);
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException
            or InvalidDataException)
        {
            reason = e;
        }

        lock (_lock) _socket = null;
        socket.Dispose();
        Take()?.TrySetException(reason);
        onLost();
    }

    private TaskCompletionSource<byte[]>? Take()
    {
        lock (_lock)
        {
            var waiting = _waiting;
            _waiting = null;
            return waiting;
        }
    }
}
