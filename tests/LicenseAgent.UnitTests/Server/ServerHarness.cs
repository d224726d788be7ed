using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.UnitTests.Pki;
using LicensePki;
using LicenseServer;
using LicenseServer.Agents;
using LicenseServer.Http;
using LicenseServer.Licenses;
using LicenseServer.Storage;

namespace LicenseAgent.UnitTests.Server;

/// <summary>A whole license server on a database file of its own, with a clock that the test moves.</summary>
internal sealed class ServerHarness : IAsyncDisposable
{
    /// <summary>The time of the clock at the start of every test.</summary>
    public static readonly DateTimeOffset Begin = new(2026, 11, 20, 12, 0, 0, TimeSpan.Zero);

    private readonly ScratchDirectory _scratch = new();

    private ServerHarness(DateTimeOffset now)
    {
        Clock = new ManualClock(now);
        Tree = DevTree.Create(_scratch["pki"], new DevTreeOptions(), Clock);
        Options = new ServerOptions
        {
            DataDirectory = _scratch["data"],
            TlsCertFile = Tree.ServerCertificate,
            TlsKeyFile = Tree.ServerKey,
            AgentCaCertFile = Tree.AgentCaCertificate,
            AgentCaKeyFile = Tree.AgentCaKey,
            ServerCaCertFile = Tree.ServerCaCertificate,
            Listen = new(System.Net.IPAddress.Loopback, 0),
            ManagementListen = new(System.Net.IPAddress.Loopback, 0),
            RateLimit = new RateLimitOptions { PerMinute = 1_000_000, Burst = 1_000_000 },
        };
    }

    public ManualClock Clock { get; }

    public DevTree Tree { get; }

    public ServerOptions Options { get; private set; }

    public ServerApp App { get; private set; } = null!;

    public Database Database => App.Store.Database;

    public UtcTime Now => UtcTime.From(Clock.Now);

    public VersionKeys Keys => new(App.Store.Keys, RandomNumberGenerator.Fill);

    public AgentDesk Agents => new(App.Store, Keys, Clock, RandomNumberGenerator.Fill, "operator:test");

    public LicenseDesk Licenses => new(App.Store, Keys, Clock, RandomNumberGenerator.Fill, "operator:test");

    public string DatabasePath => Path.Combine(Options.DataDirectory, "license-server.db");

    public string this[string file] => _scratch[file];

    public static async Task<ServerHarness> StartAsync(Func<ServerOptions, ServerOptions>? change = null)
    {
        var harness = new ServerHarness(Begin);
        harness.Options = change?.Invoke(harness.Options) ?? harness.Options;
        harness.App = await ServerApp.CreateAsync(harness.Options, harness.Clock);
        return harness;
    }

    /// <summary>Adds and enrols an agent that holds no secret yet.</summary>
    public async Task<TestAgent> EnrolAsync(string agentId = "pos-001", bool withFallback = false)
    {
        var agent = new TestAgent(this, agentId, withFallback);
        var isEnrolled = Database.Read(session => AgentRows.Find(session, agentId))?.Enrolled is not null;
        await agent.EnrolAsync(await Agents.AddAsync(agentId, isEnrolled));
        return agent;
    }

    /// <summary>Adds, enrols and rotates an agent until it has the given ACTIVE version.</summary>
    public async Task<TestAgent> ActiveAsync(long version = 1, string agentId = "pos-001")
    {
        var agent = await EnrolAsync(agentId);
        while (agent.Active < version) await agent.RotateAsync();
        return agent;
    }

    public AgentRow Agent(string agentId = "pos-001") =>
        Database.Read(session => AgentRows.Find(session, agentId))
        ?? throw new InvalidOperationException("no such agent");

    public VersionRow? Version(long version, string agentId = "pos-001") =>
        Database.Read(session => VersionRows.Find(session, agentId, version));

    /// <summary>State of each version from 1 on, as letters: P A G I B, and '-' for a number without a row.</summary>
    public string States(string agentId = "pos-001")
    {
        var rows = Database.Read(session => VersionRows.Latest(session, agentId, 64));
        if (rows.Count == 0) return "";
        var letters = Enumerable.Repeat('-', (int)rows[0].Version).ToArray();
        foreach (var row in rows) letters[row.Version - 1] = row.State.ToString()[0];
        return new string(letters);
    }

    public IReadOnlyList<string> AuditEvents() => Database.Read(session => session.All(
        "SELECT json_extract(line, '$.event') FROM audit ORDER BY seq", row => row.GetString(0)));

    /// <summary>Closes the server and opens it again on the same files.</summary>
    public async Task RestartAsync(Action? between = null)
    {
        await App.DisposeAsync();
        between?.Invoke();
        App = await ServerApp.CreateAsync(Options, Clock);
    }

    /// <summary>The database as it is now, to be put back later: an operator's restore.</summary>
    public async Task<Func<Task>> BackupAsync()
    {
        var path = _scratch[Guid.NewGuid().ToString("N") + ".db"];
        await Database.WriteAsync(session => true);
        Database.Read(session =>
        {
            session.Script($"VACUUM INTO '{path}'");
            return true;
        });
        return () => RestartAsync(() =>
        {
            foreach (var suffix in (string[])["", "-wal", "-shm"]) File.Delete(DatabasePath + suffix);
            File.Copy(path, DatabasePath);
        });
    }

    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        _scratch.Dispose();
    }
}
