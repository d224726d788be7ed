using System.Net.Sockets;
using System.Text;
using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.IntegrationTests.LocalApi;

/// <summary>A real daemon under a service manager: sockets handed over, notifications, drained stop.</summary>
public sealed class ActivationTests : IDisposable
{
    private const int ExitInternal = 70;

    // What systemd does: listening sockets from descriptor 3 on, and variables that name this very process.
    private const string Launcher = """
        import os, socket, sys
        program, config, names, *paths = sys.argv[1:]
        listening = []
        for path in paths:
            kind = socket.SOCK_DGRAM if path.startswith('dgram:') else socket.SOCK_STREAM
            s = socket.socket(socket.AF_UNIX, kind)
            s.bind(path.removeprefix('dgram:'))
            os.chmod(path.removeprefix('dgram:'), 0o666)
            if kind == socket.SOCK_STREAM: s.listen(16)
            listening.append(s)
        held = [os.dup(s.fileno()) for s in listening]
        for i, fd in enumerate(held): os.dup2(fd, 20 + i)
        for i in range(len(held)): os.dup2(20 + i, 3 + i, inheritable=True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(paths)), LISTEN_FDNAMES=names)
        os.execv(program, [program, '--config', config])
        """;

    private static readonly byte[] s_health = RawHttp.Request("GET", "/v1/health");

    private readonly Workplace _place = new();
    private readonly TillFolder _till;

    public ActivationTests()
    {
        _till = _place.AddTill("pos-001");
        _till.WriteConfig(new TillSettings { TpmDevice = $"swtpm:unix:{_till.Root}/no-tpm" });
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task Both_sockets_of_the_service_manager_are_served_and_stay_after_the_stop()
    {
        string pos = Path.Combine(_till.Root, "p.sock"), admin = Path.Combine(_till.Root, "a.sock");
        await using ChildProcess agent = await LaunchAsync("pos:admin", pos, admin);
        await agent.WaitForLineAsync("agent_ready", Cancel);

        Assert.Equal(503, (await RawHttp.ExchangeAsync(pos, s_health, Cancel)).Status);
        Assert.Equal(200, (await RawHttp.ExchangeAsync(admin, RawHttp.Request("GET", "/v1/status"), Cancel)).Status);
        Assert.False(File.Exists(_till.PosSocket) || File.Exists(_till.AdminSocket), "It bound its own as well.");
        Assert.Equal(0, await agent.TerminateAsync(Cancel));
        Assert.True(File.Exists(pos) && File.Exists(admin), "It removed what is not its own.");
    }

    [Fact]
    public async Task The_order_of_descriptors_is_that_of_their_names()
    {
        string pos = Path.Combine(_till.Root, "p.sock"), admin = Path.Combine(_till.Root, "a.sock");
        await using ChildProcess agent = await LaunchAsync("admin:pos", admin, pos);
        await agent.WaitForLineAsync("agent_ready", Cancel);

        Assert.Equal(404, (await RawHttp.ExchangeAsync(pos, RawHttp.Request("GET", "/v1/status"), Cancel)).Status);
    }

    [Fact]
    public async Task One_handed_over_and_one_bound_go_together()
    {
        string pos = Path.Combine(_till.Root, "p.sock");
        await using ChildProcess agent = await LaunchAsync("pos", pos);
        await agent.WaitForLineAsync("agent_ready", Cancel);

        Assert.Equal(503, (await RawHttp.ExchangeAsync(pos, s_health, Cancel)).Status);
        Assert.Equal(
            200, (await RawHttp.ExchangeAsync(_till.AdminSocket, RawHttp.Request("GET", "/v1/status"), Cancel)).Status);
    }

    [Theory]
    [InlineData("unknown", "p.sock")]
    [InlineData("pos:pos", "p.sock", "a.sock")]
    [InlineData("pos", "dgram:p.sock")]
    public async Task What_is_not_what_the_agent_listens_on_is_a_failed_start_with_its_reason(
        string names, params string[] files)
    {
        string[] paths =
        [
            .. files.Select(f => f.StartsWith("dgram:", StringComparison.Ordinal)
                ? "dgram:" + Path.Combine(_till.Root, f[6..])
                : Path.Combine(_till.Root, f)),
        ];
        await using ChildProcess agent = await LaunchAsync(names, paths);

        Assert.Equal(ExitInternal, await agent.ExitCodeAsync(Cancel));
        await agent.WaitForLineAsync("handed over as descriptor", Cancel);
    }

    [Fact]
    public async Task Sockets_meant_for_another_process_are_left_alone()
    {
        await using AgentProcess agent = await AgentProcess.StartAsync(
            _till, Cancel, new Dictionary<string, string> { ["LISTEN_PID"] = "1", ["LISTEN_FDS"] = "2" });

        Assert.Equal(503, (await RawHttp.ExchangeAsync(_till.PosSocket, s_health, Cancel)).Status);
    }

    [Fact]
    public async Task The_manager_is_told_ready_alive_and_stopping_and_what_the_mode_is()
    {
        string notify = Path.Combine(_till.Root, "notify");
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(notify));
        await using AgentProcess agent = await AgentProcess.StartAsync(
            _till, Cancel, new Dictionary<string, string> { ["NOTIFY_SOCKET"] = notify, ["WATCHDOG_USEC"] = "300000" });

        Assert.Equal("READY=1\nSTATUS=LOCKED not_enrolled", await ReceiveAsync(manager));
        for (int i = 0; i < 5; i++)
            Assert.Equal("WATCHDOG=1", await ReceiveAsync(manager));
        agent.Process.Terminate();
        string last;
        do
        {
            last = await ReceiveAsync(manager);
        }
        while (last == "WATCHDOG=1");
        Assert.Equal("STOPPING=1", last);
        Assert.Equal(0, await agent.Process.ExitCodeAsync(Cancel));
    }

    [Fact]
    public async Task The_watchdog_is_no_application_no_denial_and_no_record()
    {
        string notify = Path.Combine(_till.Root, "notify");
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(notify));
        _till.WriteConfig(new TillSettings { TpmDevice = $"swtpm:unix:{_till.Root}/no-tpm", PosUids = [1001] });
        await using AgentProcess agent = await AgentProcess.StartAsync(
            _till, Cancel, new Dictionary<string, string> { ["NOTIFY_SOCKET"] = notify, ["WATCHDOG_USEC"] = "300000" });
        await ReceiveAsync(manager);

        Assert.Equal("WATCHDOG=1", await ReceiveAsync(manager));
        Assert.Equal(0, await agent.Process.TerminateAsync(Cancel));
        string log = await File.ReadAllTextAsync(_till.AuditLog, Cancel);
        Assert.DoesNotContain("access_denied", log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_that_is_half_sent_at_the_stop_is_answered_and_a_new_connection_refused()
    {
        await using AgentProcess agent = await AgentProcess.StartAsync(_till, Cancel);
        byte[] request = RawHttp.Request(
            "POST", "/v1/validate-license", "{\"license_token\":\"x\",\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\"}");
        using Socket begun = RawHttp.Connect(_till.PosSocket);
        await begun.SendAsync(request.AsMemory(0, request.Length - 1), Cancel);

        // The half request is being served once a later one on another connection has been answered.
        await RawHttp.ExchangeAsync(_till.PosSocket, s_health, Cancel);
        agent.Process.Terminate();
        await EndToEnd.Eventually.HoldsAsync(() => !Accepts(), "new connections are refused", Cancel);
        await begun.SendAsync(request.AsMemory(request.Length - 1), Cancel);

        RawAnswer answer = await RawHttp.ReadAsync(begun, Cancel);
        Assert.Equal(200, answer.Status);
        Assert.Contains("\"LOCKED\"", answer.Body, StringComparison.Ordinal);
        Assert.Equal(0, await agent.Process.ExitCodeAsync(Cancel));
        string log = await File.ReadAllTextAsync(_till.AuditLog, Cancel);
        Assert.Contains("AAAAAAAAAAAAAAAAAAAAAA", log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_that_never_ends_does_not_hold_the_stop()
    {
        await using AgentProcess agent = await AgentProcess.StartAsync(_till, Cancel);
        byte[] request = RawHttp.Request("POST", "/v1/validate-license", "{\"license_token\":\"x\"}");
        using Socket begun = RawHttp.Connect(_till.PosSocket);
        await begun.SendAsync(request.AsMemory(0, request.Length - 1), Cancel);
        await RawHttp.ExchangeAsync(_till.PosSocket, s_health, Cancel);

        Assert.Equal(0, await agent.Process.TerminateAsync(Cancel));
        await AssertCutOffAsync(begun);
    }

    private static async Task AssertCutOffAsync(Socket socket)
    {
        try
        {
            Assert.Equal(RawAnswer.Nothing, await RawHttp.ReadAsync(socket, Cancel));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // The same, told in another way.
        }
    }

    private bool Accepts()
    {
        try
        {
            using Socket socket = RawHttp.Connect(_till.PosSocket);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private Task<ChildProcess> LaunchAsync(string names, params string[] paths) => ChildProcess.StartAsync(
        "python3", ["-c", Launcher, ChildProcess.PathOf("license-agent"), _till.ConfigFile, names, .. paths],
        new Dictionary<string, string> { ["DOTNET_EnableDiagnostics"] = "0" });

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        byte[] buffer = new byte[512];
        return Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer, Cancel));
    }
}
