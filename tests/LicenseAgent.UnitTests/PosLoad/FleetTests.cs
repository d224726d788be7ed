using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.PosLoad.Fleet;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.UnitTests.Pki;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

/// <summary>Software agents against the real license server: its TLS, its rules, its database.</summary>
public sealed class FleetTests : IAsyncLifetime
{
    private const int Agents = 20;

    private static readonly RSA Decryption = RSA.Create(2048);

    private readonly Workplace _place = new();
    private HostedLicenseServer _server = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static AgentMoment Moment =>
        new(UtcTime.From(TimeProvider.System.GetUtcNow()), Environment.TickCount64, 1);

    public async ValueTask InitializeAsync() => _server = await HostedLicenseServer.StartAsync(
        _place, new ServerSettings { CheckInInterval = TimeSpan.FromSeconds(90) }, Cancel);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _place.Dispose();
    }

    [Fact]
    public async Task Twenty_agents_enrol_check_in_and_rotate_once_each_over_mutual_tls()
    {
        await Task.WhenAll(Enumerable.Range(0, Agents).Select(async i =>
        {
            using FleetAgent agent = await EnrolledAsync($"load-{i}");
            Assert.Null(await agent.RotateAsync(Moment, Cancel));
            Assert.Null(await agent.CheckInAsync(Moment, Cancel));
            Assert.Null(await agent.RotateAsync(Moment, Cancel));
            ServerBooks books = _server.Books(agent.AgentId);
            Assert.Equal((2, 2, 0, 2), (agent.Active, books.Active, books.Pending, books.Versions.Count));
            Assert.Null(await agent.AskStatusAsync(isServer: true, Cancel));
        }));
        Assert.Equal(2 * Agents, _server.AuditEvents().Count(e => e == "version_confirmed"));
        Assert.DoesNotContain("audit_regressed", _server.AuditEvents());
        Assert.DoesNotContain("clone_suspected", _server.AuditEvents());
    }

    [Fact]
    public async Task Closed_and_open_phases_have_every_rotation_answered()
    {
        FleetAgent[] agents = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => EnrolledAsync($"load-{i}")));
        Scenario scenario = new(
            "a", "b", [new Phase(1, Closed: 2), new Phase(1, OfClosed: 0.5)], Target: Targets.Server,
            Fleet: new FleetPlan(4, Action: FleetActions.Rotate));
        LoadResult result = await new PacedRun(scenario, agents, (_, _) => { })
            .RunAsync("license server", isServer: true, () => null, Cancel);
        Assert.Equal((0, result.Due), (result.Failed, result.Expected));
        Assert.Contains(result.Seconds, s => s.IsClosed);
        Assert.Contains(result.Seconds, s => !s.IsClosed);
        Assert.All(agents, a => Assert.Equal(a.Active, _server.Books(a.AgentId).Active));
        foreach (FleetAgent agent in agents)
        {
            agent.Dispose();
        }
    }

    [Fact]
    public async Task An_agent_on_the_schedule_of_the_core_is_settled_in_the_middle_of_its_life()
    {
        FleetTime time = new(factor: 10, TimeProvider.System);
        using FleetAgent agent = await EnrolledAsync("load-1");
        using ScheduledAgent scheduled = new(agent, new Intervals(7200, 604_800, 900), time);
        await scheduled.SettleAsync(new Random(1), Cancel);
        Assert.Equal((AgentMode.Normal, 1), (scheduled.Mode, scheduled.RotationsDone));
        Assert.Equal((1, 1), (agent.Active, _server.Books("load-1").Active));
        Assert.InRange(scheduled.NextWakeMs, 0, 60_000);
    }

    [Fact]
    public async Task Without_a_server_an_agent_waits_as_the_core_says()
    {
        ManualClock clock = new(TimeProvider.System.GetUtcNow());
        FleetTime time = new(factor: 10, clock);
        using FleetAgent agent = await EnrolledAsync("load-1");
        using ScheduledAgent scheduled = new(agent, new Intervals(86_400, 604_800, 900), time);
        await scheduled.SettleAsync(new Random(1), Cancel);
        agent.Connect(
            new TlsUpstream(TimeProvider.System), $"https://127.0.0.1:{LicenseServerProcess.FreePort()}");
        time.Start();

        // The core is woken when it asks for it, until it sends; that fails, and it asks for a later time.
        Begun? sent = null;
        for (int wake = 0; sent is null && wake < 100; wake++)
        {
            clock.Now += TimeSpan.FromMilliseconds(scheduled.NextWakeMs - time.ElapsedMs) / time.Factor;
            clock.Now += TimeSpan.FromMilliseconds(1);
            sent = scheduled.Step(new AgentEvent.Ticked());
        }

        Assert.NotNull(sent);
        Assert.InRange(time.ElapsedMs, 0, 1_080_000);
        AgentEvent end = await sent.RunAsync(Cancel);
        Assert.IsType<AgentEvent.ContactFailed>(end);
        Assert.Null(scheduled.Step(end));
        Assert.Null(scheduled.Step(new AgentEvent.Ticked()));
        Assert.Equal(1, agent.Active);
    }

    [Fact]
    public void A_servers_times_are_stretched_from_its_own_now()
    {
        FleetTime time = new(factor: 10, TimeProvider.System);
        UtcTime now = new(1_700_000_000_000);
        ConfirmRotationAnswer answer = new(
            "a", "r", default, AgentActions.ConfirmRotation, now, 2, now, now + TimeSpan.FromHours(2),
            now + TimeSpan.FromDays(7), [new PreviousVersion(1, now + TimeSpan.FromDays(1))], 1);
        var moved = (ConfirmRotationAnswer)time.Translate(answer, startBootMs: 5000);
        Assert.Equal(time.At(5000), moved.ServerTime);
        Assert.Equal(TimeSpan.FromHours(20), moved.ValidUntil - moved.ServerTime);
        Assert.Equal(TimeSpan.FromDays(70), moved.GraceUntil - moved.ServerTime);
        Assert.Equal(TimeSpan.FromDays(10), moved.Previous[0].GraceUntil - moved.ServerTime);
        CheckInAnswer checkIn = new("a", "r", default, AgentActions.CheckIn, now, [], 1, new Witness(1, default, false), 90);
        Assert.Equal(900, ((CheckInAnswer)time.Translate(checkIn, 5000)).NextCheckInS);
    }

    private async Task<FleetAgent> EnrolledAsync(string id)
    {
        FleetAgent agent = new(id, Decryption);
        using TlsUpstream without = new(TimeProvider.System);
        await agent.EnrolAsync(await _server.AddAgentAsync(id), without, Moment, Cancel);
        agent.Connect(new TlsUpstream(TimeProvider.System), _server.Url);
        return agent;
    }
}
