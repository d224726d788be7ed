using LicenseAgent.ContractTests.Contracts;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Faults;

namespace LicenseAgent.SimTests.World;

/// <summary>The simulated way to the server is held to what the real one is held to.</summary>
public sealed class SimUpstreamContractTests : UpstreamContract
{
    private protected override Task<UpstreamBench> StartAsync() => Task.FromResult<UpstreamBench>(new SimWay());
}

/// <summary>One till's port onto the simulated network and the simulated server behind it; the till does not run.</summary>
internal sealed class SimWay : UpstreamBench
{
    public const long DeadlineUs = 30_000_000;

    private const string AgentId = "pos-001";
    private const long OnTheWayUs = 2_000_000;

    private readonly PortBench _bench;
    private readonly UpstreamPort _port;
    private readonly EnrollmentBundle _bundle;
    private readonly byte[] _request;

    public SimWay()
    {
        Model = new ModelServer();
        _bench = new PortBench(Model.Loop);
        Net = new SimNet(Model.Loop, Model.History, Model.Server);
        Till = NewTill(AgentId, 1);
        _bundle = Model.Server.Add(AgentId);
        _port = PortOf(Till);
        Agent = new ModelAgent(Model, AgentId);
        _request = Agent.Sign(Agent.EnrollRequest(_bundle));
    }

    public ModelServer Model { get; }

    public ModelAgent Agent { get; }

    public SimNet Net { get; }

    public SimTill Till { get; }

    public override bool HasEnrolled => Model.Server.Find(AgentId)!.Signing is not null;

    /// <summary>Another till at the same network, which does not run either.</summary>
    public SimTill NewTill(string id, int index)
    {
        ConfigOutcome config = ConfigReader.Read(""u8.ToArray(), new Dictionary<string, string>(), _ => default);
        return new SimTill(
            Model.Loop, Model.History, Model.Server, Net,
            config.Config ?? throw new InvalidOperationException(string.Join("; ", config.Errors)), id, index);
    }

    public UpstreamPort PortOf(SimTill till)
    {
        UpstreamPort port = new(till, _bench.Life, Net, Model.Server.Pin, SimRandom.Of(1, till.Id, "net"));
        port.Configure(Settings(_bundle.Pins));
        return port;
    }

    public override Task SetAsync(WayFault fault)
    {
        Till.Link.Ease();
        Model.Server.Troubles.IsDown = fault == WayFault.Refused;
        Till.Link.CutOut = fault == WayFault.RequestLost;
        Till.Link.CutIn = fault == WayFault.AnswerLost;
        Till.Link.ResetsIn = fault == WayFault.AnswerCut ? 1 : 0;
        Till.Link.Forges = fault == WayFault.Portal ? Forgery.Unsigned : Forgery.None;
        _port.Configure(Settings(fault == WayFault.AnotherKey ? ["sha256:another"] : _bundle.Pins));
        return Task.CompletedTask;
    }

    public override Task<UpstreamAnswer> EnrolAsync(bool cancels = false)
    {
        if (!cancels)
        {
            return PostAsync(AgentPaths.Enroll, _request);
        }

        using CancellationTokenSource ends = new();
        Till.Link.CutIn = true;
        Task<UpstreamAnswer> exchange = _port.ExchangeAsync(
            "POST", AgentPaths.Enroll, _request, TimeSpan.FromMicroseconds(DeadlineUs), ends.Token);
        Model.Loop.RunUntil(Model.Loop.NowUs + OnTheWayUs, maxSteps: 1_000);
        ends.Cancel();
        return _bench.Settle(exchange);
    }

    public override Task<UpstreamAnswer> FetchKeysetAsync() => ExchangeAsync(_port, "GET", AgentPaths.Keyset, []);

    public Task<UpstreamAnswer> PostAsync(string path, byte[] body) => ExchangeAsync(_port, "POST", path, body);

    /// <summary>Lets the time pass that an exchange of somebody's takes.</summary>
    public Task<UpstreamAnswer> ExchangeAsync(UpstreamPort port, string method, string path, byte[] body) =>
        _bench.Settle(port.ExchangeAsync(method, path, body, TimeSpan.FromMicroseconds(DeadlineUs), default));

    public override ValueTask DisposeAsync()
    {
        Till.Dispose();
        return ValueTask.CompletedTask;
    }

    private UpstreamSettings Settings(IReadOnlyList<string> pins) => new(
        _bundle.ServerUrl, _bundle.ServerName, pins, default, null, new UtcTime(0));
}
