using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Transport;

/// <summary>swtpm's data channel: TPM commands and responses back to back, over TCP or a Unix socket.</summary>
internal sealed class SwtpmTransport : TpmTransport
{
    private readonly SocketChannel _channel;

    private SwtpmTransport(SocketChannel channel) => _channel = channel;

    public override bool CleansUpAfterClients => false;

    public static SwtpmTransport Open(TpmAddress address, Deadline deadline) =>
        new(SocketChannel.Connect(address, address.Port, deadline));

    public override bool LooksAlive() => _channel.LooksAlive();

    public override void Dispose() => _channel.Dispose();

    protected override int ExchangeOnce(ReadOnlySpan<byte> command, byte[] response, Deadline deadline)
    {
        // Bytes before the question are the tail of a longer answer than its header said; nothing after them is in
        // step.
        if (!_channel.LooksAlive())
        {
            throw new TpmException(
                TpmFailure.Unavailable, "The TPM closed the connection or sent bytes that were not asked for.");
        }

        _channel.Send(command, deadline);
        _channel.Receive(response.AsSpan(0, TpmFrame.HeaderSize), deadline);
        var size = TpmFrame.ResponseSize(response);
        _channel.Receive(response.AsSpan(TpmFrame.HeaderSize, size - TpmFrame.HeaderSize), deadline);
        return size;
    }
}
