using System.Buffers.Binary;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Transport;

/// <summary>
/// The Microsoft/TCG simulator's protocol (TPM-Rev-2.0 part 4, TcpServer): commands on one port, each wrapped with
/// a code, a locality and a size; power and NV signals on the port after it.
/// </summary>
internal sealed class MssimTransport : TpmTransport
{
    private const uint SignalPowerOn = 1;
    private const uint SendCommand = 8;
    private const uint SignalNvOn = 11;
    private const uint SessionEnd = 20;
    private const int WrapSize = 9;

    private readonly SocketChannel _commands;
    private readonly SocketChannel _platform;

    private MssimTransport(SocketChannel commands, SocketChannel platform)
    {
        _commands = commands;
        _platform = platform;
    }

    public override bool CleansUpAfterClients => false;

    public static MssimTransport Open(TpmAddress address, Deadline deadline)
    {
        var commands = SocketChannel.Connect(address, address.Port, deadline);
        SocketChannel? platform = null;
        try
        {
            platform = SocketChannel.Connect(address, address.Port + 1, deadline);
            // A simulator without power answers every command with FAILURE; both signals are no-ops when already on.
            Signal(platform, SignalPowerOn, deadline);
            Signal(platform, SignalNvOn, deadline);
            return new MssimTransport(commands, platform);
        }
        catch (TpmException)
        {
            commands.Dispose();
            platform?.Dispose();
            throw;
        }
    }

    public override bool LooksAlive() => _commands.LooksAlive();

    public override void Dispose()
    {
        if (!IsDead) SayGoodbye();
        _commands.Dispose();
        _platform.Dispose();
    }

    protected override int ExchangeOnce(ReadOnlySpan<byte> command, byte[] response, Deadline deadline)
    {
        Span<byte> wrap = stackalloc byte[WrapSize];
        BinaryPrimitives.WriteUInt32BigEndian(wrap, SendCommand);
        wrap[4] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(wrap[5..], (uint)command.Length);
        _commands.Send(wrap, deadline);
        _commands.Send(command, deadline);

        Span<byte> word = stackalloc byte[4];
        _commands.Receive(word, deadline);
        var stated = BinaryPrimitives.ReadUInt32BigEndian(word);
        if (stated is < TpmFrame.HeaderSize or > TpmFrame.SizeMax)
            throw TpmFrame.Bad($"the simulator announces {stated} bytes");
        _commands.Receive(response.AsSpan(0, (int)stated), deadline);
        if (TpmFrame.ResponseSize(response) != stated) throw TpmFrame.Bad("simulator and header differ in size");
        _commands.Receive(word, deadline);
        return (int)stated;
    }

    private static void Signal(SocketChannel platform, uint signal, Deadline deadline)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(word, signal);
        platform.Send(word, deadline);
        platform.Receive(word, deadline);
        if (BinaryPrimitives.ReadUInt32BigEndian(word) != 0)
            throw TpmFrame.Bad($"the simulator refuses platform signal {signal}");
    }

    private void SayGoodbye()
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(word, SessionEnd);
        var deadline = Deadline.After(TimeSpan.FromSeconds(1), CancellationToken.None);
        try
        {
            _commands.Send(word, deadline);
            _platform.Send(word, deadline);
        }
        catch (TpmException)
        {
            // The peer went first; the sockets are closed next, which says the same.
        }
    }
}
