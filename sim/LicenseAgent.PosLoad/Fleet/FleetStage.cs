using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Testbed.Processes;
using LicenseServer;
using LicenseServer.Agents;
using LicenseServer.Http;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>A license server of our own, as a process, with a fleet of software agents that are enrolled there.</summary>
internal sealed class FleetStage : IAsyncDisposable
{
    // A rate that no agent of a load reaches: what the limits cost is measured, not how they refuse.
    private const int RatePerMinute = 1_000_000;

    // Decryption keys are shared by agents: 10 000 of them would take ten minutes to make.
    private const int DecryptionKeys = 16;

    // Requests that are open at once while a fleet is enrolled: commits are shared by them.
    private const int EnrolledAtOnce = 32;

    private const int DescriptorsSpare = 256;

    private static readonly TimeSpan s_idleMax = TimeSpan.FromSeconds(10);

    private readonly Workplace _place = new();
    private readonly RSA[] _decryption = [.. Enumerable.Range(0, DecryptionKeys).Select(_ => RSA.Create(2048))];
    private readonly ServerSettings _settings;
    private readonly Scenario _scenario;
    private LicenseServerProcess? _server;

    private FleetStage(Scenario scenario)
    {
        (_scenario, Time) = (scenario, new FleetTime(scenario.Fleet!.TimeFactor, TimeProvider.System));
        Intervals wanted = scenario.Intervals ?? new Intervals(86_400, 604_800, 900);
        Intervals = wanted;
        _settings = new ServerSettings
        {
            RotationInterval = TimeSpan.FromSeconds(wanted.Rotation / Time.Factor),
            GracePeriod = TimeSpan.FromSeconds(wanted.Grace / Time.Factor),
            CheckInInterval = TimeSpan.FromSeconds(wanted.CheckIn / Time.Factor),
            RatePerMinute = RatePerMinute,
            RateBurst = RatePerMinute,
        };
    }

    public FleetTime Time { get; }

    /// <summary>As the fleet has them.</summary>
    public Intervals Intervals { get; }

    /// <summary>With connections of their own; empty where they keep to a schedule.</summary>
    public IReadOnlyList<FleetAgent> Agents { get; private set; } = [];

    public IReadOnlyList<ScheduledAgent> Scheduled { get; private set; } = [];

    public Workplace Place => _place;

    public LicenseServerProcess Server => _server ?? throw new InvalidOperationException("The server does not run.");

    public int? ServerId { get; private set; }

    public string Url => string.Create(CultureInfo.InvariantCulture, $"https://127.0.0.1:{Server.Port}");

    /// <exception cref="ScenarioException">The machine does not allow it.</exception>
    public static async Task<FleetStage> OpenAsync(Scenario scenario, Action<string> say, CancellationToken cancel)
    {
        RequireDescriptors(scenario.Fleet!.Callers);
        FleetStage stage = new(scenario);
        try
        {
            await stage.PrepareAsync(say, cancel);
            stage._server = await LicenseServerProcess.StartAsync(stage._place, stage._settings, cancel);
            stage.ServerId = stage._server.Process.Id;
            stage.Connect();
            return stage;
        }
        catch (Exception)
        {
            await stage.DisposeAsync();
            throw;
        }
    }

    /// <summary>Has agents that never call in the database from here on. The server restarts for it.</summary>
    public async Task AddPassiveAsync(int count, CancellationToken cancel)
    {
        await Server.KillAsync();
        await using (ServerStore store = await ServerStore.OpenAsync(
            _settings.OptionsIn(_place), TimeProvider.System, RandomNumberGenerator.Fill))
        {
            await PassiveAgents.AddAsync(store.Database, Agents[0].AgentId, count);
        }

        await Server.RestartAsync(cancel);
        ServerId = Server.Process.Id;
    }

    /// <exception cref="InvalidOperationException">It could not be done.</exception>
    public async Task ActAsync(string what, CancellationToken cancel)
    {
        switch (what)
        {
            case StageEvents.ServerKill:
                ServerId = null;
                await Server.KillAsync();
                break;
            case StageEvents.ServerStart:
                await Server.RestartAsync(cancel);
                ServerId = Server.Process.Id;
                break;
            default:
                throw new InvalidOperationException($"Nothing is known of {what}.");
        }
    }

    /// <summary>Gives each agent a way to where the server is, or to something else in its place.</summary>
    /// <param name="keeps">Connections are kept while they are used.</param>
    public void Connect(string? url = null, bool keeps = true)
    {
        TimeSpan idle = keeps ? s_idleMax / Time.Factor : TimeSpan.Zero;
        foreach (FleetAgent agent in Agents.Concat(Scheduled.Select(s => s.Agent)))
        {
            agent.Connect(new TlsUpstream(TimeProvider.System, idle), url ?? Url);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (FleetAgent agent in Agents.Concat(Scheduled.Select(s => s.Agent)))
        {
            agent.Dispose();
        }

        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        foreach (RSA key in _decryption)
        {
            key.Dispose();
        }

        _place.Dispose();
    }

    // The API in this process, before anything listens: the same requests, without a handshake each.
    private async Task PrepareAsync(Action<string> say, CancellationToken cancel)
    {
        FleetPlan fleet = _scenario.Fleet!;
        bool isSchedule = fleet.Action == FleetActions.Schedule;
        long begin = Stopwatch.GetTimestamp();
        FleetAgent[] agents =
        [
            .. Enumerable.Range(0, fleet.Agents).Select(i => new FleetAgent(
                string.Create(CultureInfo.InvariantCulture, $"load-{i:000000}"), _decryption[i % DecryptionKeys])),
        ];
        await using ServerApp app = await ServerApp.CreateAsync(_settings.OptionsIn(_place), TimeProvider.System);
        AgentDesk desk = new(
            app.Store, new VersionKeys(app.Store.Keys, RandomNumberGenerator.Fill), TimeProvider.System,
            RandomNumberGenerator.Fill, "posload");
        ScheduledAgent[] scheduled = isSchedule ? [.. agents.Select(a => new ScheduledAgent(a, Intervals, Time))] : [];
        int done = 0;
        ParallelOptions options = new() { MaxDegreeOfParallelism = EnrolledAtOnce, CancellationToken = cancel };
        await Parallel.ForAsync(0, agents.Length, options, async (i, stop) =>
        {
            await EnrolAsync(agents[i], desk, app.Api, isSchedule ? scheduled[i] : null, i, stop);
            int now = Interlocked.Increment(ref done);
            if (now % 1000 == 0)
            {
                say(string.Create(CultureInfo.InvariantCulture, $"{now} of {agents.Length} agents enrolled"));
            }
        });
        await PassiveAgents.AddAsync(app.Store.Database, agents[0].AgentId, fleet.Passive);
        say(string.Create(CultureInfo.InvariantCulture,
            $"{agents.Length} agents enrolled and rotated in {Stopwatch.GetElapsedTime(begin).TotalSeconds:0} s"));
        Scheduled = scheduled;
        Agents = isSchedule ? [] : agents[..fleet.Callers];
        foreach (FleetAgent unused in agents.Skip(isSchedule ? agents.Length : fleet.Callers))
        {
            unused.Dispose();
        }
    }

    private static async Task EnrolAsync(
        FleetAgent agent, AgentDesk desk, AgentApi api, ScheduledAgent? scheduled, int seed, CancellationToken cancel)
    {
        EnrollmentBundle bundle = await desk.AddAsync(agent.AgentId);
        AgentMoment moment = new(UtcTime.From(TimeProvider.System.GetUtcNow()), Environment.TickCount64, 1);
        using ApiUpstream upstream = new(api, agent.AgentId);
        await agent.EnrolAsync(bundle, upstream, moment, cancel);
        if (scheduled is not null)
        {
            await scheduled.SettleAsync(new Random(seed), cancel);
        }
        else if (await agent.RotateAsync(moment, cancel) is { } refused)
        {
            throw new InvalidOperationException($"The first rotation of {agent.AgentId} was refused: {refused}");
        }
    }

    // The runtime has raised the soft limit to the hard one at its start.
    private static void RequireDescriptors(int connections)
    {
        string line = File.ReadLines("/proc/self/limits").First(l => l.StartsWith("Max open files", StringComparison.Ordinal));
        string soft = line["Max open files".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
        int needed = Math.Min(connections, FleetRules.KeptConnectionsMax) + DescriptorsSpare;
        if (long.TryParse(soft, CultureInfo.InvariantCulture, out long open) && open < needed)
        {
            throw new ScenarioException(
                $"{needed} open files are needed and {open} are allowed: run it after `ulimit -n {needed}`.");
        }
    }
}
