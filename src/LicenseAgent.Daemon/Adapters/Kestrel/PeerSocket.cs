using System.Net.Sockets;
using System.Runtime.InteropServices;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>SO_PEERCRED of a connected Unix socket (unix(7)): struct ucred, pid, uid, gid of 32 bits each.</summary>
internal static class PeerSocket
{
    private const int SolSocket = 1, SoPeerCred = 17;

    public static PeerCredentials Credentials(Socket socket)
    {
        Span<uint> ucred = stackalloc uint[3];
        int length = socket.GetRawSocketOption(SolSocket, SoPeerCred, MemoryMarshal.AsBytes(ucred));
        return length == 3 * sizeof(uint)
            ? new PeerCredentials(ucred[1], ucred[2], (int)ucred[0])
            : throw new SocketException((int)SocketError.OperationNotSupported);
    }
}
