using System.Buffers.Binary;
using System.Net.Sockets;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>
/// TPM commands and responses on a stream: a 10-byte header (tag u16, size u32, code u32), then the rest.
/// </summary>
internal static class TpmStream
{
    public const int HeaderSize = 10;
    private const int SizeMax = 4096;
    private const ushort NoSessions = 0x8001;

    public static uint Code(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadUInt32BigEndian(frame[6..]);

    public static TpmCommand CommandOf(uint code) =>
        Enum.IsDefined((TpmCommand)code) ? (TpmCommand)code : TpmCommand.Any;

    public static string NameOf(TpmCommand command, uint code) =>
        command == TpmCommand.Any ? $"0x{code:x}" : command.ToString();

    /// <summary>The next whole frame; null where the stream ends before one begins.</summary>
    public static async Task<byte[]?> ReadFrameAsync(Socket socket, CancellationToken cancellationToken)
    {
        var header = new byte[HeaderSize];
        if (!await FillAsync(socket, header, mayEnd: true, cancellationToken)) return null;
        var size = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(2));
        if (size is < HeaderSize or > SizeMax) throw new InvalidDataException($"a TPM frame of {size} bytes");
        var frame = new byte[size];
        header.CopyTo(frame, 0);
        await FillAsync(socket, frame.AsMemory(HeaderSize), mayEnd: false, cancellationToken);
        return frame;
    }

    public static async Task WriteAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
    }

    /// <summary>A response that consists of a code.</summary>
    public static byte[] Answer(uint rc)
    {
        var frame = new byte[HeaderSize];
        BinaryPrimitives.WriteUInt16BigEndian(frame, NoSessions);
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(2), HeaderSize);
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(6), rc);
        return frame;
    }

    private static async Task<bool> FillAsync(
        Socket socket, Memory<byte> buffer, bool mayEnd, CancellationToken cancellationToken)
    {
        var have = 0;
        while (have < buffer.Length)
        {
            var count = await socket.ReceiveAsync(buffer[have..], cancellationToken);
            if (count == 0 && have == 0 && mayEnd) return false;
            if (count == 0) throw new EndOfStreamException("the stream ends within a TPM frame");
            have += count;
        }

        return true;
    }
}
