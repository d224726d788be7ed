using LicenseAgent.Daemon;
using LicenseAgent.Daemon.Adapters.Kestrel;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.UnitTests.Daemon.LocalApi;

namespace LicenseAgent.IntegrationTests.LocalApi;

/// <summary>Both sockets of an agent whose snapshot was made by hand, on real Kestrel, in a directory.</summary>
internal sealed class LiveSockets : IAsyncDisposable
{
    public const uint ListedUid = 1001, UnlistedUid = 1002, ViewerUid = 1003;

    private readonly LocalSockets _sockets;
    private readonly HashSet<(uint, Nonce16)> _nonces = [];

    // What handlers let through: nothing, in every test.
    private readonly ErrorLog _log = new();

    private LiveSockets(Func<PosConfig, PosConfig> shape, TimeProvider time)
    {
        Directory.CreateDirectory(Home);
        var pos = new PosConfig(
            Path.Combine(Home, "pos.sock"), [0, ListedUid], [], Rate: 1_000_000, Burst: 1_000_000,
            ConnectionsPerUid: 64, Connections: 256, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(60),
            RequestBytes: 16_384, HeadBytes: 8_192);
        var management = new ManagementConfig(Path.Combine(Home, "admin.sock"), [0], [ViewerUid]);
        Config = new AgentConfig(
            null!, null!, null!, shape(pos), management, null!, new DegradedConfig(true), null!,
            new SecurityConfig(false));
        LocalSurfaces surfaces = LocalSurfaces.Create(Config, Sources());
        _sockets = new LocalSockets(
            Config, surfaces, e => _log.Errors.Add(e.Message), time, _log);
    }

    public string Home { get; } = Path.Combine(Path.GetTempPath(), "lsa-" + Path.GetRandomFileName());

    public LocalBench Bench { get; } = new();

    public BenchJournal Journal { get; } = new();

    public AgentConfig Config { get; }

    public string Pos => Config.Pos.Socket;

    public string Admin => Config.Management.Socket;

    public static Task<LiveSockets> StartAsync() => StartAsync(pos => pos);

    /// <param name="time">What waits are counted in; the machine's unless a test brings another.</param>
    public static async Task<LiveSockets> StartAsync(Func<PosConfig, PosConfig> shape, TimeProvider? time = null)
    {
        var live = new LiveSockets(shape, time ?? TimeProvider.System);
        try
        {
            await live._sockets.StartAsync(CancellationToken.None);
            return live;
        }
        catch
        {
            await live.DisposeAsync();
            throw;
        }
    }

    public async Task StopAsync() => await _sockets.StopAsync(CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _sockets.DisposeAsync();
        Bench.Dispose();
        Directory.Delete(Home, recursive: true);
        Xunit.Assert.Empty(_log.Errors);
    }

    private LocalSources Sources() => new(
        Bench.Context(Journal.Journal),
        new AgentCommands(
            (_, _) => Refuse<EnrollOutcome>(),
            _ => Task.FromResult(new CommandAnswer<RotateOutcome>(new RotateOutcome("rotated", 7, null), null)),
            (_, _, _) => Refuse<InvalidateOutcome>(), (_, _) => Refuse<DegradedOutcome>(),
            (_, _) => Refuse<RenewedLicense>()),
        new OsBytes(), Protocol.Jose.Es256.Verify, LocalBench.Tag, AcceptOnce, (_, _, _) => { }, () => { },
        () => "license_agent_mode 1\n",
        new AuditSources((_, _) => new AuditPage([], null), _ => throw new NotSupportedException()),
        Refuse<ReloadOutcome>);

    private ReplayVerdict AcceptOnce(uint uid, Nonce16 nonce, long bootMs)
    {
        lock (_nonces)
            return _nonces.Add((uid, nonce)) ? ReplayVerdict.Accepted : ReplayVerdict.Replayed;
    }

    private static Task<CommandAnswer<T>> Refuse<T>()
        where T : class => Task.FromResult(new CommandAnswer<T>(
            null, new Problem("about:blank", "Conflict", 409, ProblemCodes.Conflict, "Not now.")));
}
