using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Testbed.Processes;
using LicenseServer;
using LicenseServer.Agents;
using LicenseServer.Http;
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

    private readonly ServerApp _app;
    private readonly ConcurrentQueue<byte[]> _contentKeys;

    private HostedLicenseServer(ServerApp app, ServerFaults faults, ConcurrentQueue<byte[]> contentKeys) =>
        (_app, Faults, _contentKeys) = (app, faults, contentKeys);

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
        var options = new ServerOptions
        {
            DataDirectory = place.ServerData,
            TlsCertFile = place.Pki.ServerCertificate,
            TlsKeyFile = place.Pki.ServerKey,
            AgentCaCertFile = place.Pki.AgentCaCertificate,
            AgentCaKeyFile = place.Pki.AgentCaKey,
            ServerCaCertFile = place.Pki.ServerCaCertificate,
            Listen = new IPEndPoint(IPAddress.Loopback, 0),
            ManagementListen = new IPEndPoint(IPAddress.Loopback, 0),
            Policy = new Policy
            {
                RotationInterval = settings.RotationInterval,
                GracePeriod = settings.GracePeriod,
                CheckInInterval = settings.CheckInInterval,
            },
            RateLimit = new RateLimitOptions { PerMinute = 6000, Burst = 1000 },
        };
        var app = await ServerApp.CreateAsync(
            options, TimeProvider.System, bytes => Draw(bytes, drawn),
            around: web => web.Use(next => context => faults.InvokeAsync(context, next)));
        try
        {
            await app.StartAsync(cancel);
            return new HostedLicenseServer(app, faults, drawn);
        }
        catch (Exception)
        {
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>Adds an agent and makes its bundle.</summary>
    public async Task<EnrollmentBundle> AddAgentAsync(string agentId, bool replace = false)
    {
        var keys = new VersionKeys(_app.Store.Keys, RandomNumberGenerator.Fill);
        var desk = new AgentDesk(_app.Store, keys, TimeProvider.System, RandomNumberGenerator.Fill, "testbed");

        // The port was not known when the server was configured.
        return await desk.AddAsync(agentId, replace) with { ServerUrl = Url };
    }

    /// <summary>An operator lets an agent whose TPM is lost go on with its software keys.</summary>
    public Task ApproveSoftwareAsync(string agentId, int days) => new AgentDesk(
        _app.Store, new VersionKeys(_app.Store.Keys, RandomNumberGenerator.Fill), TimeProvider.System,
        RandomNumberGenerator.Fill, "testbed").ApproveSoftwareAsync(agentId, days);

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

    private static Task<IssuedLicense> IssueAsync(LicenseDesk desk, string agentId, TimeSpan? lifetime)
    {
        var expires = UtcTime.From(TimeProvider.System.GetUtcNow()) + (lifetime ?? TimeSpan.FromDays(30));
        return desk.IssueAsync(new LicenseOrder(agentId, "register", expires));
    }

    private LicenseDesk Licenses() => new(
        _app.Store, new VersionKeys(_app.Store.Keys, RandomNumberGenerator.Fill), TimeProvider.System,
        RandomNumberGenerator.Fill, "testbed");

    private static void Draw(Span<byte> bytes, ConcurrentQueue<byte[]> drawn)
    {
        RandomNumberGenerator.Fill(bytes);
        if (bytes.Length == 32) drawn.Enqueue(bytes.ToArray());
    }
}
