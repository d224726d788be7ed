using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Testbed.Processes;
using LicenseServer;
using LicenseServer.Agents;
using LicenseServer.Http;
using LicenseServer.Keys;
using LicenseServer.Licenses;
using LicenseServer.Storage;
using Microsoft.AspNetCore.Builder;

namespace LicenseAgent.Testbed.Servers;

/// <summary>A version of an agent's secret as the license server's database has it.</summary>
/// <param name="State">PENDING, ACTIVE, GRACE, INVALIDATED or BURNED.</param>
public sealed record ServerVersion(long Version, string State, Kcv Kcv);

/// <summary>What the license server's database says about one agent; versions rising.</summary>
public sealed record ServerBooks(long Highest, UtcTime? LastSeen, IReadOnlyList<ServerVersion> Versions)
{
    public long Active => Only("ACTIVE");

    public long Pending => Only("PENDING");

    private long Only(string state) => Versions.SingleOrDefault(v => v.State == state)?.Version ?? 0;
}

/// <summary>
/// The real license server in this process: real TLS on a free port, real database below a workplace, with a
/// <see cref="ServerFaults"/> around it.
/// </summary>
public sealed class HostedLicenseServer : IAsyncDisposable
{
    private const int VersionsMax = 1000;

    private readonly ServerOptions _options;
    private readonly ConcurrentQueue<byte[]> _contentKeys;
    private readonly ShiftedTime _time;
    private ServerApp _app;

    private HostedLicenseServer(
        ServerApp app, ServerOptions options, ServerFaults faults, ConcurrentQueue<byte[]> contentKeys,
        ShiftedTime time) =>
        (_app, _options, Faults, _contentKeys, _time) = (app, options, faults, contentKeys, time);

    public ServerFaults Faults { get; }

    /// <summary>Where tills find it.</summary>
    public string Url => _app.AgentUrl.GetLeftPart(UriPartial.Authority);

    /// <summary>Every 32 random bytes the server drew: content keys of the secrets it sent are among them.</summary>
    public IReadOnlyList<byte[]> Random32 => [.. _contentKeys];

    public static async Task<HostedLicenseServer> StartAsync(
        Workplace place, ServerSettings settings, CancellationToken cancel)
    {
        var faults = new ServerFaults();
        ConcurrentQueue<byte[]> drawn = new();
        var options = settings.OptionsIn(place);
        var time = new ShiftedTime();
        var app = await OpenAsync(options, faults, drawn, time);
        try
        {
            await app.StartAsync(cancel);
            return new HostedLicenseServer(app, options, faults, drawn, time);
        }
        catch (Exception)
        {
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>A copy of the database as it is now, for <see cref="RestoreAsync"/>.</summary>
    public async Task<string> BackupAsync()
    {
        var copy = Path.Combine(_options.DataDirectory, $"backup-{Guid.NewGuid():N}.db");
        await _app.Store.Database.WriteAsync(_ => true);
        _app.Store.Database.Read(session =>
        {
            session.Script($"VACUUM INTO '{copy}'");
            return true;
        });
        return copy;
    }

    /// <summary>The server comes back at the same address with the database of a backup: it has forgotten what came
    /// after.</summary>
    public async Task RestoreAsync(string backup, CancellationToken cancel)
    {
        var port = _app.AgentUrl.Port;
        await _app.DisposeAsync();
        var database = Path.Combine(_options.DataDirectory, "license-server.db");
        foreach (var suffix in (string[])["", "-wal", "-shm"]) File.Delete(database + suffix);
        File.Copy(backup, database);
        var options = _options with { Listen = new IPEndPoint(IPAddress.Loopback, port) };
        _app = await OpenAsync(options, Faults, _contentKeys, _time);
        await _app.StartAsync(cancel);
    }

    /// <summary>
    /// The server was off for so long and comes back at the same address, with the certificate that is in its file now.
    /// </summary>
    public async Task LeapAsync(TimeSpan ahead, CancellationToken cancel)
    {
        var port = _app.AgentUrl.Port;
        await _app.DisposeAsync();
        _time.Ahead += ahead;
        _app = await OpenAsync(
            _options with { Listen = new IPEndPoint(IPAddress.Loopback, port) }, Faults, _contentKeys, _time);
        await _app.StartAsync(cancel);
    }

    /// <summary>Thumbprint of the key whose enrolment waits for an operator; null when none does.</summary>
    public string? WaitingKey(string agentId) => Agents().Waiting(agentId);

    /// <summary>An operator has compared the key: <c>agents approve</c>.</summary>
    public Task ApproveAsync(string agentId, string thumbprint) => Agents().ApproveAsync(agentId, thumbprint);

    /// <summary>An operator's decision that the agent is one machine: <c>agents approve-recovery</c>.</summary>
    public Task ApproveRecoveryAsync(string agentId) => Agents().ApproveRecoveryAsync(agentId);

    /// <summary>One run of <c>keys rotate --force</c>, and the running server takes the keys over.</summary>
    /// <returns>What it did.</returns>
    public async Task<IReadOnlyList<string>> RotateKeysAsync()
    {
        var desk = new KeyDesk(_app.Store, _time, "testbed");
        return (await desk.RotateAsync(KeyFile.Scopes, [], force: true)).Done;
    }

    /// <summary>Names of the events of the server's audit, oldest first.</summary>
    public IReadOnlyList<string> AuditEvents() => _app.Store.Database.Read(session => session.All(
        "SELECT json_extract(line, '$.event') FROM audit ORDER BY seq", row => row.GetString(0)));

    /// <summary>Adds an agent and makes its bundle.</summary>
    public async Task<EnrollmentBundle> AddAgentAsync(string agentId, bool replace = false)
    {
        // The port was not known when the server was configured.
        return await Agents().AddAsync(agentId, replace) with { ServerUrl = Url };
    }

    /// <summary>An operator lets an agent whose TPM is lost go on with its software keys.</summary>
    public Task ApproveSoftwareAsync(string agentId, int days) => Agents().ApproveSoftwareAsync(agentId, days);

    /// <summary>A license token for the agent, under its confirmed version.</summary>
    /// <param name="lifetime">30 days unless said otherwise.</param>
    public async Task<string> IssueAsync(string agentId, TimeSpan? lifetime = null) =>
        (await IssueAsync(Licenses(), agentId, lifetime)).Token;

    /// <summary>A token of a license that has been revoked since.</summary>
    public async Task<string> IssueRevokedAsync(string agentId)
    {
        var desk = Licenses();
        var issued = await IssueAsync(desk, agentId, lifetime: null);
        await desk.RevokeAsync(issued.LicenseId);
        return issued.Token;
    }

    /// <exception cref="InvalidOperationException">There is no such agent.</exception>
    public ServerBooks Books(string agentId) => _app.Store.Database.Read(session =>
    {
        var agent = AgentRows.Find(session, agentId)
            ?? throw new InvalidOperationException($"The license server knows no agent {agentId}.");
        var rows = VersionRows.Latest(session, agentId, VersionsMax);
        rows.Reverse();
        return new ServerBooks(
            agent.Highest, agent.LastSeen,
            [.. rows.Select(r => new ServerVersion(r.Version, r.State.ToString().ToUpperInvariant(), r.Kcv))]);
    });

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private Task<IssuedLicense> IssueAsync(LicenseDesk desk, string agentId, TimeSpan? lifetime)
    {
        var expires = UtcTime.From(_time.GetUtcNow()) + (lifetime ?? TimeSpan.FromDays(30));
        return desk.IssueAsync(new LicenseOrder(agentId, "register", expires));
    }

    private static async Task<ServerApp> OpenAsync(
        ServerOptions options, ServerFaults faults, ConcurrentQueue<byte[]> drawn, TimeProvider time)
    {
        var app = await ServerApp.CreateAsync(
            options, time, bytes => Draw(bytes, drawn),
            around: web => web.Use(next => context => faults.InvokeAsync(context, next)));
        faults.ResponseKey = () => app.Store.Keys.Response;
        return app;
    }

    private AgentDesk Agents() => new(
        _app.Store, new VersionKeys(_app.Store.Keys, RandomNumberGenerator.Fill), _time,
        RandomNumberGenerator.Fill, "testbed");

    private LicenseDesk Licenses() => new(
        _app.Store, new VersionKeys(_app.Store.Keys, RandomNumberGenerator.Fill), _time,
        RandomNumberGenerator.Fill, "testbed");

    private static void Draw(Span<byte> bytes, ConcurrentQueue<byte[]> drawn)
    {
        RandomNumberGenerator.Fill(bytes);
        if (bytes.Length == 32) drawn.Enqueue(bytes.ToArray());
    }

    /// <summary>The machine's clock and timers, ahead by as much as a test says.</summary>
    private sealed class ShiftedTime : TimeProvider
    {
        public TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Ahead;
    }
}
