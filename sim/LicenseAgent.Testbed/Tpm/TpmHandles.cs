using System.Buffers.Binary;
using System.Net.Sockets;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>What is loaded in a TPM at the moment; something that leaks is never unloaded.</summary>
public static class TpmHandles
{
    private const ushort NoSessions = 0x8001;
    private const uint GetCapability = 0x17A, CapHandles = 1, CountMax = 254;

    // HR_TRANSIENT, HR_HMAC_SESSION (loaded) and HR_POLICY_SESSION (saved), TPM 2.0 Part 2, 7.4.
    private static readonly uint[] s_kinds = [0x8000_0000, 0x0200_0000, 0x0300_0000];

    /// <summary>
    /// How many transient objects, loaded and saved sessions there are, while nothing is under way: the least of a few
    /// looks, for a check-in may be just now.
    /// </summary>
    /// <exception cref="InvalidDataException">The TPM does not say.</exception>
    public static async Task<int> CountAsync(TpmProxy bus, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(bus);
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(bus.SocketPath), cancel);
        int least = int.MaxValue;
        for (int look = 0; look < 20 && least > 0; look++)
        {
            if (look > 0)
                await Task.Delay(TimeSpan.FromMilliseconds(100), cancel);
            int now = 0;
            foreach (uint kind in s_kinds)
                now += await CountAsync(socket, kind, cancel);
            least = Math.Min(least, now);
        }

        return least;
    }

    private static async Task<int> CountAsync(Socket socket, uint kind, CancellationToken cancel)
    {
        byte[] command = new byte[TpmStream.HeaderSize + (3 * sizeof(uint))];
        BinaryPrimitives.WriteUInt16BigEndian(command, NoSessions);
        uint[] words = [(uint)command.Length, GetCapability, CapHandles, kind, CountMax];
        for (int i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt32BigEndian(command.AsSpan(2 + (i * sizeof(uint))), words[i]);
        await TpmStream.WriteAsync(socket, command, cancel);
        byte[]? answer = await TpmStream.ReadFrameAsync(socket, cancel);

        // After the header: moreData, the capability, the number of handles, the handles.
        if (answer is null || TpmStream.Code(answer) != 0 || answer.Length < TpmStream.HeaderSize + 9)
            throw new InvalidDataException("The TPM does not say what is loaded.");
        return (int)BinaryPrimitives.ReadUInt32BigEndian(answer.AsSpan(TpmStream.HeaderSize + 5));
    }
}
