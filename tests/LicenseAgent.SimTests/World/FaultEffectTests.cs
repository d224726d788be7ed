using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Faults;
using LicenseAgent.Sim.World.Server;
using Microsoft.Extensions.Logging;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>A fault that is drawn does what its name says, at the till that it is drawn for.</summary>
public sealed class FaultEffectTests
{
    private const long Second = 1_000_000;
    private const long AtS = 3_600;
    private const long ForS = 7_200;
    private static readonly string s_till = SimWorld.NameOf(1);

    [Theory]
    [InlineData(FaultKinds.Refused, 0)]
    [InlineData(FaultKinds.DnsFlip, 0)]
    [InlineData(FaultKinds.DnsFlip, 1)]
    [InlineData(FaultKinds.Resets, 100)]
    [InlineData(FaultKinds.Truncates, 100)]
    [InlineData(FaultKinds.Clog, 60_000)]
    [InlineData(FaultKinds.Portal, 511)]
    [InlineData(FaultKinds.BareStatus, 503)]
    [InlineData(FaultKinds.BareStatus, 429)]
    [InlineData(FaultKinds.Huge, 0)]
    [InlineData(FaultKinds.RevokeStorm, 0)]
    public void An_answer_that_is_none_is_no_contact(string kind, long arg)
    {
        // No rotation in it: a storm of revocations comes with a check-in alone.
        RunOutcome run = Run(kind, arg, 0, _ => { }, rotationS: 86_400);
        Assert.True(run.IsClean, Findings(run));
        Seen[] during = [.. run.History.OfType<Seen>().Where(s => s.AtUs > (AtS + 1_200) * Second
            && s.AtUs < (AtS + ForS) * Second)];
        Assert.Single(during.Select(s => s.LastContactMs).Distinct());
        Assert.True(run.History.OfType<Seen>().Last().LastContactMs > during[^1].LastContactMs);
    }

    /// <summary>What the agent's port gives, in the words of the real one.</summary>
    [Theory]
    [InlineData(FaultKinds.Refused, 0, "refused")]
    [InlineData(FaultKinds.DnsFlip, 0, "dns")]
    [InlineData(FaultKinds.DnsFlip, 1, "tls_pin")]
    [InlineData(FaultKinds.Resets, 100, "incomplete")]
    [InlineData(FaultKinds.Truncates, 100, "200, cut")]
    [InlineData(FaultKinds.Clog, 60_000, "timeout")]
    [InlineData(FaultKinds.Clog, 2_000, "200, whole")]
    [InlineData(FaultKinds.Portal, 0, "200, cut")]
    [InlineData(FaultKinds.Portal, 511, "511, cut")]
    [InlineData(FaultKinds.BareStatus, 503, "503, cut, 90 s")]
    [InlineData(FaultKinds.BareStatus, 429, "429, cut, 90 s")]
    [InlineData(FaultKinds.Kill, 0, "200, whole")]
    public void An_exchange_ends_as_the_fault_has_it(string kind, long arg, string how)
    {
        using SimWorld world = new(new Plan(Plan.CurrentFormat, 4, "port", 1, 1, new Knobs(), [], []));
        int whole = world.Server.Handle("GET", AgentPaths.Keyset, []).Body.Length;
        PlannedFault fault = new(1, 0, 60, "", kind, arg, 90);
        Ailments.Of(world.Tills[0], [fault]);
        Ailments.Of(world.Server, [fault]);
        Life life = new(world.Loop, new SimContext(world.Loop, 9, "port"), _ => { });
        UpstreamPort port = new(world.Tills[0], life, world.Net, world.Server.Pin, SimRandom.Of(4, "port", "net"));
        port.Configure(new UpstreamSettings(
            SimServer.Url, SimServer.Name, [world.Server.Pin], default, null, SimServer.At(0)));
        Task<UpstreamAnswer> asked = port.ExchangeAsync(
            "GET", AgentPaths.Keyset, default, TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        world.Loop.RunUntil(60 * Second, 1_000);
        Assert.Equal(how, HowEnded(asked, whole));
    }

    [Fact]
    public void A_version_that_the_server_signed_for_one_before_is_not_taken()
    {
        SaidLines said = new();
        RunOutcome run = Run(FaultKinds.Downgrades, 0, 0, world => world.Tills[0].Logger = said);
        Assert.True(run.IsClean, Findings(run));
        Assert.Contains(said.Lines, l => l.Contains("server_version_refused", StringComparison.Ordinal));
        long[] active = [.. run.History.OfType<Seen>().Where(s => s.Active > 0).Select(s => s.Active)];
        Assert.Equal(active.Order(), active);
        Assert.Contains(run.History.OfType<Received>(), r => r.Action == "rotate-secret" && r.AtUs > AtS * Second);
    }

    [Fact]
    public void Answers_are_late_together_on_a_clogged_way()
    {
        LinkTroubles link = new() { MessageUs = 10 * Second };
        Assert.Equal(
            [10 * Second, 20 * Second, 25 * Second, 10 * Second],
            [
                link.Clogged(0, isOut: true), link.Clogged(0, isOut: true), link.Clogged(5 * Second, isOut: true),
                link.Clogged(5 * Second, isOut: false),
            ]);
    }

    [Fact]
    public void A_process_is_started_every_few_seconds()
    {
        RunOutcome run = Run(FaultKinds.RestartLoop, 10, 1, _ => { });
        Assert.True(run.IsClean, Findings(run));
        Assert.InRange(run.History.OfType<Started>().Count(), ForS / 11, ForS / 9);
    }

    [Fact]
    public void A_reboot_saves_the_chip_s_clock_and_begins_another_boot()
    {
        RunOutcome run = Run(FaultKinds.Reboot, 0, 0, _ => { });
        Assert.True(run.IsClean, Findings(run));
        Assert.Contains(run.History.OfType<Ended>(), e => e.How == EndOf.Stop);
        Assert.Contains(run.History.OfType<Ended>(), e => e.How == EndOf.ShutDown);
        Assert.Equal(2, run.History.OfType<Started>().Select(s => s.BootId).Distinct().Count());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_configuration_is_read_again_while_the_agent_runs(long inARotation)
    {
        RunOutcome run = Run(FaultKinds.Reload, inARotation, 0, _ => { });
        Assert.True(run.IsClean, Findings(run));
        Ordered[] reloads = [.. run.History.OfType<Ordered>().Where(o => o.What == FaultKinds.Reload)];
        Assert.Equal(["200", "200"], reloads.Select(r => r.Outcome));
        if (inARotation == 1)
        {
            // Between the answer to a prepare and its confirm.
            Received[] around = [.. run.History.OfType<Received>().Where(r => r.AtUs > reloads[0].AtUs)];
            Assert.Equal("confirm-rotation", around[0].Action);
        }
    }

    [Fact]
    public void A_wall_clock_flips_between_two_times()
    {
        SortedSet<long> offsets = [];
        RunOutcome run = Run(FaultKinds.WallStrobe, 5_000, 5, world =>
        {
            for (int i = 1; i < 60; i++)
            {
                world.Loop.At((AtS + i) * Second, () => offsets.Add(world.Tills[0].Wall.OffsetUs));
            }
        });
        Assert.True(run.IsClean, Findings(run));
        Assert.Equal([0, 5_000 * Second], offsets);
    }

    [Theory]
    [InlineData(1970)]
    [InlineData(2000)]
    public void A_dead_clock_begins_in_its_own_year_and_is_set_right_at_the_end(int year)
    {
        (int began, long after) = (0, 1);
        RunOutcome run = Run(FaultKinds.DeadRtc, year, 60, world =>
        {
            SimTill till = world.Tills[0];
            world.Loop.At((AtS + 100) * Second, () => began =
                DateTimeOffset.FromUnixTimeMilliseconds(
                    SimServer.At(world.Loop.NowUs + till.Wall.OffsetUs).UnixMs).Year);
            world.Loop.At((AtS + ForS + 100) * Second, () => after = till.Wall.OffsetUs);
        });
        Assert.True(run.IsClean, Findings(run));
        Assert.Equal((year, 0), (began, after));
    }

    [Theory]
    [InlineData(FaultKinds.AuditLineFlipped, 3, true)]
    [InlineData(FaultKinds.AuditSwapped, 1, false)]
    public void The_log_is_another_than_it_was(string kind, long arg, bool isAsLong)
    {
        byte[] before = [], after = [];
        RunOutcome run = Run(kind, arg, 0, world =>
        {
            SimAudit audit = world.Tills[0].Audit;
            world.Loop.At((AtS * Second) - 1, () => before = audit.Newest.ToArray());
            world.Loop.At((AtS * Second) + 1, () => after = audit.Newest.ToArray());
        });
        Assert.True(run.IsClean, Findings(run));
        Assert.Equal(isAsLong, before.Length == after.Length);
        Assert.Equal(isAsLong, !before.AsSpan().StartsWith(after));
    }

    [Fact]
    public void What_is_longer_than_a_till_reads_is_refused_as_that()
    {
        Plan plan = new(
            Plan.CurrentFormat, 4, "long", 1, 12, new Knobs(PosEveryS: 120, OddCalls: 900, RequestBytes: 4_096), [], []);
        OddCall[] calls = [.. Runner.Run(plan).History.OfType<OddCall>().Where(c => c.Kind == "oversized")];
        Assert.NotEmpty(calls);
        Assert.All(calls, c => Assert.Equal(413, c.Status));
    }

    /// <summary>
    /// A process that is held saves no time, and the clock of the machine begins anew: I14 counted time asleep as lost,
    /// and time held, which lasted five minutes at most, not.
    /// </summary>
    [Fact]
    public void I14_what_a_process_was_held_before_a_power_cut_is_lost_like_sleep()
    {
        Plan plan = new(
            Plan.CurrentFormat, 4, "held", 1, 12, new Knobs(),
            [
                new PlannedFault(1, 7_200, 9_000, s_till, FaultKinds.ClockBatteryOut, 3_500),
                new PlannedFault(2, 7_300, 1_800, s_till, FaultKinds.Pause),
                new PlannedFault(3, 7_400, 20_000, s_till, FaultKinds.Pause),
            ],
            []);
        RunOutcome run = Runner.Run(plan);
        Assert.True(run.IsClean, Findings(run));
    }

    [Fact]
    public void A_certificate_that_ends_is_renewed_before()
    {
        Plan plan = new(
            Plan.CurrentFormat, 4, "renewal", 1, 24, new Knobs(CertificateS: 20_000),
            [
                // Until the second one has ended: with an expired one a till is let in to renew it.
                new PlannedFault(1, 20_000, 30_000, s_till, FaultKinds.Cut),
            ],
            [new PlannedOrder(1, 50_100, s_till, OrderKinds.Rotate)]);
        RunOutcome run = Runner.Run(plan);
        Assert.True(run.IsClean, Findings(run));
        Received[] renewals = [.. run.History.OfType<Received>().Where(r => r.Action == "renew-certificate")];
        Assert.InRange(renewals.Length, 3, 8);
        Assert.All(renewals, r => Assert.Equal("ok", r.Verdict));
        Assert.Contains(renewals, r => r.AtUs > 50_000 * Second);
    }

    /// <summary>A suspension is heard, the power goes three seconds later, and nobody can tell the till again.</summary>
    [Fact]
    public void Who_is_cut_off_once_told_acts_upon_what_it_heard()
    {
        Plan plan = new(
            Plan.CurrentFormat, 4, "told", 1, 6, new Knobs(PosEveryS: 120),
            [new PlannedFault(1, AtS, ForS, s_till, FaultKinds.CutOffOnceTold, 3_000)],
            [new PlannedOrder(1, AtS, s_till, OrderKinds.Suspend)]);
        RunOutcome run = Runner.Run(plan);
        Assert.True(run.IsClean, Findings(run));
        long cutUs = Assert.Single(run.History.OfType<Ended>(), e => e.How == EndOf.PowerCut).AtUs;
        long overUs = run.History.OfType<FaultEnded>().Single().AtUs;
        Assert.Equal((AtS + ForS) * Second, overUs);
        Assert.DoesNotContain(run.History.OfType<Received>(), r => r.AtUs > cutUs && r.AtUs < overUs);
        Validated[] meanwhile = [.. run.History.OfType<Validated>()
            .Where(v => v.Status == 200 && v.AtUs > cutUs && v.AtUs < overUs)];
        Assert.True(meanwhile.Length > 10);
        Assert.All(meanwhile, v => Assert.Equal("LOCKED", v.Reason));
        Assert.Contains(run.History.OfType<Received>(), r => r.AtUs > overUs);
    }

    private static RunOutcome Run(string kind, long arg, long arg2, Action<SimWorld> prepare, int rotationS = 5_400) => Runner.Run(
        new Plan(
            Plan.CurrentFormat, 4, "effect", 1, 6, new Knobs(RotationS: rotationS),
            [new PlannedFault(1, AtS, ForS, FaultKinds.IsOfServer(kind) ? "" : s_till, kind, arg, arg2)], []),
        prepare);

    private static string HowEnded(Task<UpstreamAnswer> asked, int whole) =>
        asked.Exception?.InnerException is NoContactException failed ? failed.Reason
        : asked is not { IsCompletedSuccessfully: true } ? "not at all"
        : Text(asked.GetAwaiter().GetResult(), whole);

    private static string Text(UpstreamAnswer answer, int whole) => $"{answer.Status}, "
        + (answer.Body.Length < whole ? "cut" : "whole")
        + (answer.RetryAfter is { } patience ? $", {patience.TotalSeconds} s" : "");

    private static string Findings(RunOutcome run) => $"{string.Join('\n', run.Violations)}{run.Escape}";

    /// <summary>What the agent says.</summary>
    private sealed class SaidLines : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Lines.Add(formatter(state, exception));
    }
}
