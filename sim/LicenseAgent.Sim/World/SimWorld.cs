using System.Text;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>
/// A fleet as a plan describes it: tills, their applications, the network, the server. It is run in two phases: first
/// anything may go wrong, then everything is healed and everybody has to come back.
/// </summary>
internal sealed class SimWorld : IDisposable
{
    public const long HealUs = 4L * 3_600 * Second;

    private const long Second = 1_000_000;
    private const long EnrolAgainUs = 20 * Second;
    private const long EnrolPatienceUs = 300 * Second;
    private const long StepsPerTillHour = 400_000;

    private static readonly PeerCredentials Operator = new(500, 500, 5);

    private readonly Plan _plan;
    private readonly FaultDesk _faults;
    private readonly OrderDesk _orders;
    private readonly long _lookEveryUs;

    public SimWorld(Plan plan)
    {
        _plan = plan;
        Loop = new SimLoop(plan.Seed);
        History = new Chronicle(Loop.Trace);
        Server = new SimServer(Loop, History, new ServerPolicy(
            TimeSpan.FromSeconds(plan.Knobs.RotationS), TimeSpan.FromSeconds(plan.Knobs.GraceS),
            TimeSpan.FromSeconds(plan.Knobs.CheckInS)), SimRandom.Of(plan.Seed, "server", "keys"));
        Net = new SimNet(Loop, Server);
        AgentConfig config = ConfigOf(plan.Knobs);
        Tills = [.. Enumerable.Range(1, plan.Tills).Select(i =>
            new SimTill(Loop, History, Server, Net, config, NameOf(i), i) { DriftPpm = plan.Knobs.DriftPpm })];
        Pos = [.. Tills.Select(till => new SimPos(Loop, History, Server, till, plan.Knobs))];
        _lookEveryUs = plan.Hours > 24 * 40 ? 900 * Second : 60 * Second;
        _faults = new FaultDesk(this);
        _orders = new OrderDesk(this);
    }

    public SimLoop Loop { get; }

    public Chronicle History { get; }

    public SimServer Server { get; }

    public SimNet Net { get; }

    public IReadOnlyList<SimTill> Tills { get; }

    public IReadOnlyList<SimPos> Pos { get; }

    public Plan Plan => _plan;

    public static string NameOf(int number) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"till-{number:d4}");

    public SimTill Till(string id) => Tills.First(t => t.Id == id);

    /// <summary>Both phases.</summary>
    /// <returns>False when the steps a run may take did not suffice.</returns>
    public bool Run()
    {
        foreach (SimTill till in Tills)
        {
            till.Start();
            Loop.After(2 * Second, () => Enrol(till));
            Loop.After(_lookEveryUs, () => KeepLooking(till));
        }

        foreach (PlannedFault fault in _plan.Faults)
        {
            _faults.Schedule(fault);
        }

        foreach (PlannedOrder order in _plan.Orders)
        {
            Loop.At(order.AtS * Second, () => _orders.CarryOut(order));
        }

        long safety = _plan.Hours * 3_600 * Second;
        long steps = StepsPerTillHour * Tills.Count * (_plan.Hours + 4);
        if (!Loop.RunUntil(safety, steps))
        {
            return false;
        }

        Heal();
        bool ended = Loop.RunUntil(safety + HealUs, steps);
        foreach (SimTill till in Tills)
        {
            till.Look();
        }

        return ended;
    }

    /// <summary>Gives back what the processes still hold.</summary>
    public void Dispose()
    {
        foreach (SimTill till in Tills)
        {
            till.Dispose();
        }
    }

    /// <summary>Calls a till's admin socket.</summary>
    public void Order(SimTill till, string method, string path, byte[] body, Action<int, byte[]> answered) =>
        till.Call(admin: true, Operator, method, path, body, answered);

    private void Heal()
    {
        _faults.EndAll();
        _orders.LiftAll();
        History.Add(new Healed(Loop.NowUs, "all"));
    }

    private void KeepLooking(SimTill till)
    {
        till.Look();
        Loop.After(_lookEveryUs, () => KeepLooking(till));
    }

    /// <summary>Somebody stands at the till until it is enrolled.</summary>
    private void Enrol(SimTill till)
    {
        if (Server.Find(till.Id) is { Signing: not null } && till.Agent?.Loop.Snapshot.AgentId == till.Id)
        {
            return;
        }

        EnrollmentBundle bundle = Server.Add(till.Id);
        byte[] body = StrictJson.Write(new EnrollCall(bundle), ManagementRequestJsonContext.Wire.EnrollCall);
        bool answered = false;
        Order(till, "POST", ManagementPaths.Enroll, body, (status, _) =>
        {
            answered = true;
            History.Add(new Ordered(Loop.NowUs, till.Id, "enroll", $"{status}"));
            if (status != 200)
            {
                Loop.After(EnrolAgainUs, () => Enrol(till));
            }
        });
        Loop.After(EnrolPatienceUs, () =>
        {
            if (!answered)
            {
                // The till went off under his hands.
                Enrol(till);
            }
        });
    }

    private static AgentConfig ConfigOf(Knobs knobs)
    {
        string toml = $"""
            [server]
            timeout = {knobs.TimeoutS}
            [agent]
            rotation_interval = {knobs.RotationS}
            grace_period = {knobs.GraceS}
            offline_after = {knobs.OfflineS}
            check_in_interval = {knobs.CheckInS}
            [pos]
            allowed_uids = [1000, 1001]
            [management]
            admin_uids = [500]
            [audit]
            on_failure = "{(knobs.RefuseWithoutAudit ? "refuse" : "continue")}"
            """;
        ConfigOutcome outcome = ConfigReader.Read(
            Encoding.UTF8.GetBytes(toml), new Dictionary<string, string>(), _ => default);
        return outcome.Config ?? throw new PlanException(
            $"The plan's knobs make no configuration: {string.Join("; ", outcome.Errors)}");
    }
}
