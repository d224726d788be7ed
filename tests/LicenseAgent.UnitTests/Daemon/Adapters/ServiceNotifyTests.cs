using System.Net.Sockets;
using System.Text;
using LicenseAgent.Daemon.Adapters.ServiceManager;
using LicenseAgent.UnitTests.Pki;
using Microsoft.Extensions.Logging;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Adapters;

public sealed class ServiceNotifyTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly WarningLog _log = new();

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_manager_behind_a_path_or_an_abstract_name_is_told(bool isAbstract)
    {
        string name = isAbstract ? "@" + Path.GetFileName(_scratch.Path) : _scratch["notify"];
        using var manager = Listen(name);
        using var service = new ServiceNotify(_log, name);
        service.Ready("NORMAL");
        service.Status("NORMAL");
        service.Status("DEGRADED\nREADY=0");
        service.Stopping();
        Assert.Equal("READY=1\nSTATUS=NORMAL", Receive(manager));
        Assert.Equal("STATUS=DEGRADED READY=0", Receive(manager));
        Assert.Equal("STOPPING=1", Receive(manager));
        Assert.Empty(_log.Messages);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void Without_a_manager_nothing_is_sent_and_nothing_fails(string? address)
    {
        using var service = new ServiceNotify(_log, address);
        service.Ready("NORMAL");
        service.Stopping();
        Assert.Empty(_log.Messages);
    }

    [Theory]
    [InlineData("/nonexistent/notify")]
    [InlineData("/a/path/that/is/longer/than/a/socket/address/can/be/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public void A_manager_that_cannot_be_reached_is_logged_and_the_agent_goes_on(string address)
    {
        using var service = new ServiceNotify(_log, address);
        service.Ready("NORMAL");
        Assert.Contains("service_notify", Assert.Single(_log.Messages), StringComparison.Ordinal);
    }

    [Fact]
    public void A_reload_is_told_with_the_time_of_the_monotonic_clock()
    {
        using var manager = Listen(_scratch["notify"]);
        using var service = new ServiceNotify(_log, _scratch["notify"]);
        service.Reloading();
        string[] lines = Receive(manager).Split('\n');
        Assert.Equal("RELOADING=1", lines[0]);
        Assert.Matches("^MONOTONIC_USEC=[1-9][0-9]*$", lines[1]);
    }

    private static Socket Listen(string name)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(name[0] == '@' ? '\0' + name[1..] : name));
        return socket;
    }

    private static string Receive(Socket socket)
    {
        byte[] buffer = new byte[512];
        return Encoding.UTF8.GetString(buffer, 0, socket.Receive(buffer));
    }

    private sealed class WarningLog : ILogger
    {
        public List<string> Messages { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Messages.Add(formatter(state, exception));
    }
}
