using System.Net.Sockets;
using System.Text;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>
/// sd_notify: tells a service manager READY, STATUS and STOPPING over the socket in NOTIFY_SOCKET, a path or, with
/// <c>@</c>, an abstract name. Without one there is nobody to tell.
/// </summary>
internal sealed class ServiceNotify : IDisposable
{
    private readonly Socket? _socket;

    public ServiceNotify()
    {
        if (Environment.GetEnvironmentVariable("NOTIFY_SOCKET") is not { Length: > 0 } name)
        {
            return;
        }

        string path = name[0] == '@' ? '\0' + name[1..] : name;
        _socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        _socket.Connect(new UnixDomainSocketEndPoint(path));
    }

    public void Ready(string status) => Send($"READY=1\nSTATUS={status}");

    public void Status(string status) => Send($"STATUS={status}");

    public void Stopping() => Send("STOPPING=1");

    public void Dispose() => _socket?.Dispose();

    private void Send(string message) => _socket?.Send(Encoding.UTF8.GetBytes(message));
}
