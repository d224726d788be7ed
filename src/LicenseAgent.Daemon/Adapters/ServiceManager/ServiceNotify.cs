using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using LicenseAgent.Daemon.Logging;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Adapters.ServiceManager;

/// <summary>
/// sd_notify(3): tells a service manager READY, STATUS, WATCHDOG and STOPPING over the socket in NOTIFY_SOCKET, a path
/// or, with <c>@</c>, an abstract name. Without one there is nobody to tell. A manager that cannot be reached is logged
/// and is no reason to stop selling.
/// </summary>
internal sealed class ServiceNotify : IDisposable
{
    // The manager reads at once; where it does not, the agent must not wait for it.
    private const int SendTimeoutMs = 1_000;

    private readonly ILogger _logger;
    private readonly string? _address;
    private readonly Socket? _socket;
    private string? _status;

    public ServiceNotify(ILogger logger)
        : this(logger, Environment.GetEnvironmentVariable("NOTIFY_SOCKET"))
    {
    }

    /// <param name="address">Absolute path or <c>@name</c>; <see langword="null"/> or empty: nobody listens.</param>
    public ServiceNotify(ILogger logger, string? address)
    {
        _logger = logger;
        if (address is { Length: > 0 })
        {
            _address = address[0] == '@' ? '\0' + address[1..] : address;
            _socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            _socket.SendTimeout = SendTimeoutMs;
        }
    }

    public void Ready(string status) => Send($"READY=1\nSTATUS={_status = OneLine(status)}");

    /// <summary>Sent when it differs from the last one.</summary>
    public void Status(string status)
    {
        string line = OneLine(status);
        if (Interlocked.Exchange(ref _status, line) != line)
            Send($"STATUS={line}");
    }

    public void Alive() => Send("WATCHDOG=1");

    /// <summary>Until the next READY. MONOTONIC_USEC is for <c>Type=notify-reload</c>.</summary>
    public void Reloading()
    {
        long microseconds = Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000);
        Send(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    public void Stopping() => Send("STOPPING=1");

    public void Dispose() => _socket?.Dispose();

    // A line break would begin another assignment.
    private static string OneLine(string status) => status.ReplaceLineEndings(" ");

    private void Send(string message)
    {
        if (_socket is null)
            return;
        try
        {
            _socket.SendTo(Encoding.UTF8.GetBytes(message), new UnixDomainSocketEndPoint(_address!));
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            AgentEvents.EffectFailed(_logger, "service_notify", error.GetType().Name, error.Message);
        }
    }
}
