using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.ServiceManager;

/// <summary>
/// Listening sockets that a service manager made and handed over (sd_listen_fds(3)): descriptors from 3 on, named by
/// <c>FileDescriptorName=</c> <c>pos</c> or <c>admin</c>. They stay the manager's: closing them here removes nothing,
/// and who connects while the agent is down waits for the next one.
/// </summary>
internal sealed partial class ActivatedSockets : IDisposable
{
    public const string Pos = "pos", Admin = "admin";

    private const int FirstDescriptor = 3;
    private const int SolSocket = 1, SoType = 3, SoAcceptConn = 30, SoDomain = 39, StreamType = 1, UnixDomain = 1;
    private const int SetDescriptorFlags = 2, CloseOnExec = 1;

    private readonly Dictionary<string, Socket> _byName = new(StringComparer.Ordinal);

    private ActivatedSockets()
    {
    }

    /// <summary>The socket of a name; from then on it is the caller's. Null: it was not handed over.</summary>
    public Socket? Take(string name) => _byName.Remove(name, out Socket? socket) ? socket : null;

    /// <exception cref="StorageException">What was handed over is not what this agent listens on.</exception>
    public static ActivatedSockets Read(Func<string, string?> variable, int ownPid)
    {
        ActivatedSockets sockets = new();
        if (variable("LISTEN_PID") != ownPid.ToString(CultureInfo.InvariantCulture)
            || !int.TryParse(variable("LISTEN_FDS"), NumberStyles.None, CultureInfo.InvariantCulture, out int count))
        {
            return sockets;
        }

        string[] names = (variable("LISTEN_FDNAMES") ?? "").Split(':');
        try
        {
            for (int i = 0; i < count; i++)
                sockets.Add(FirstDescriptor + i, i < names.Length ? names[i] : "");
            return sockets;
        }
        catch (StorageException)
        {
            sockets.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (Socket socket in _byName.Values)
            socket.Dispose();
        _byName.Clear();
    }

    private void Add(int descriptor, string name)
    {
        if (name is not (Pos or Admin))
            throw Refused(descriptor, $"is named \"{name}\"; set FileDescriptorName= to {Pos} or {Admin}");
        if (_byName.ContainsKey(name))
            throw Refused(descriptor, $"is a second one named {name}; keep one ListenStream= for each name");
        if (!Is(descriptor, SoDomain, UnixDomain) || !Is(descriptor, SoType, StreamType)
            || !Is(descriptor, SoAcceptConn, 1))
        {
            throw Refused(descriptor, $"({name}) is no listening Unix socket; use ListenStream=/path, Accept=no");
        }

        // A program the agent should ever start must not inherit it.
        _ = fcntl(descriptor, SetDescriptorFlags, CloseOnExec);
        _byName.Add(name, new Socket(new SafeSocketHandle(descriptor, ownsHandle: true)));
    }

    private static bool Is(int descriptor, int option, int wanted)
    {
        int length = sizeof(int);
        return getsockopt(descriptor, SolSocket, option, out int value, ref length) == 0 && value == wanted;
    }

    private static StorageException Refused(int descriptor, string why) =>
        new("socket_activation", $"The socket handed over as descriptor {descriptor} {why}.", null);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getsockopt(int socket, int level, int option, out int value, ref int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int descriptor, int command, int argument);
}
