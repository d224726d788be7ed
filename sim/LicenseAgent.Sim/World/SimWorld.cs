using System.Text;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Faults;
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
    private const long DecidesUs = 6L * 3_600 * Second;
    private const long DecidesSoonUs = 1_800 * Second;
    private const long AsksBeforeEndUs = 90 * Second;

    // A till takes 500; one that is started again every other second takes some ten thousands for a while. Beyond it
    // something spins, and is stopped within the hour in which it does.
    private const long StepsPerTillHour = 400_000;
    private const long Hour = 3_600 * Second;

    // Beyond it there is no page that could show them, and they would be a third of the history.
    private const long NotedTillHours = 10_000;

    private static readonly PeerCredentials Operator = new(500, 500, 5);

    private readonly Plan _plan;
    private readonly FaultDesk _faults;
    private readonly OrderDesk _orders;
    private readonly long _lookEveryUs;
    private readonly HashSet<string> _anew = new(StringComparer.Ordinal);
    private bool _isHealing;

    public SimWorld(Plan plan)
    {
        _plan = plan;
        Loop = new SimLoop(plan.Seed);
        History = new Chronicle(Loop.Trace);
        Server = new SimServer(Loop, History, new ServerPolicy(
            TimeSpan.FromSeconds(plan.Knobs.RotationS), TimeSpan.FromSeconds(plan.Knobs.GraceS),
            TimeSpan.FromSeconds(plan.Knobs.CheckInS))
        {
            CertificateLife = TimeSpan.FromSeconds(plan.Knobs.CertificateS),
        }, SimRandom.Of(plan.Seed, "server", "keys"));
        Server.Suspected = DecideOver;
        Net = new SimNet(Loop, History, Server)
        {
            NotesMessages = plan.Hours * plan.Tills <= NotedTillHours,
            KeepsAnswers = plan.Faults.Any(f => f.Kind is FaultKinds.Replays or FaultKinds.CrossAgent),
            ReadsCertificates = plan.Knobs.CertificateS > 0,
        };
        AgentConfig config = ConfigOf(plan.Knobs);
        Tills = [.. Enumerable.Range(1, plan.Tills).Select(i =>
            new SimTill(Loop, History, Server, Net, config, NameOf(i), i) { DriftPpm = DriftOf(i) })];
        Pos = [.. Tills.Select(till => new SimPos(Loop, History, Server, till, plan.Knobs))];
        // Every change is looked at anyway: of a long run, or of very many tills, less is looked at between changes.
        _lookEveryUs = plan.Hours * plan.Tills > 24 * 40 ? 900 * Second : 60 * Second;
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

    /// <summary>The same for all, or each till's own, at most that much to either side.</summary>
    private long DriftOf(int till)
    {
        long most = Math.Abs(_plan.Knobs.DriftPpm);
        return _plan.Knobs.DriftEach
            ? SimRandom.Of(_plan.Seed, NameOf(till), "drift").Between(-most, most)
            : _plan.Knobs.DriftPpm;
    }

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

        long safety = _plan.Hours * Hour;
        if (!RunUntil(safety))
        {
            return false;
        }

        Heal();
        Loop.At(safety + HealUs - AsksBeforeEndUs, () =>
        {
            foreach (SimPos pos in Pos)
            {
                pos.AskLast();
            }
        });
        bool ended = RunUntil(safety + HealUs);
        foreach (SimTill till in Tills)
        {
            till.LookLast();
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

    /// <summary>Hour by hour, each with steps of its own.</summary>
    private bool RunUntil(long us)
    {
        while (Loop.NowUs < us)
        {
            if (!Loop.RunUntil(Math.Min(us, Loop.NowUs + Hour), StepsPerTillHour * Tills.Count))
            {
                return false;
            }
        }

        return true;
    }

    private void Heal()
    {
        _isHealing = true;
        _faults.EndAll();
        _orders.LiftAll();
        History.Add(new Healed(Loop.NowUs, "all"));
        foreach (SimTill till in Tills)
        {
            // A TPM or a disk of before its last enrolment was put back, or both.
            EnrolAnew(till);
        }
    }

    /// <summary>An operator takes a till that looks like two machines for the one that it is, after a while.</summary>
    private void DecideOver(string agentId) => Loop.After(_isHealing ? DecidesSoonUs : DecidesUs, () =>
    {
        Server.ApproveRecovery(agentId);
        History.Add(new Ordered(Loop.NowUs, agentId, "approve-recovery", "server"));
    });

    private void KeepLooking(SimTill till)
    {
        till.Look();
        Loop.After(_lookEveryUs, () => KeepLooking(till));
    }

    /// <summary>
    /// The TPM is another one, or empty, or the identity is damaged: somebody comes with a new bundle until the till has an identity again. In the
    /// healing also where files and TPM were both put back to an enrolment before the present one: the till serves
    /// by itself and hears nothing that is signed, and the server sees it knock with a key that is no longer its.
    /// </summary>
    public void EnrolAnew(SimTill till)
    {
        if (HasNoIdentity(till))
        {
            Enrol(till, replace: true);
        }
        else if (_isHealing && IsPutBackWhole(till))
        {
            // Its TPM works, so he has to insist.
            Enrol(till, replace: true, force: true);
        }

        // Looked at again: the till may be off, starting, or on its way.
        if (_anew.Add(till.Id))
        {
            Loop.After(EnrolPatienceUs, () => KeepEnrolling(till));
        }
    }

    private void KeepEnrolling(SimTill till)
    {
        _anew.Remove(till.Id);
        if (till.Agent?.Loop.Snapshot.Mode.ReasonWhenLocked is not null || HasNoIdentity(till) || !till.IsRunning
            || _isHealing)
        {
            EnrolAnew(till);
        }
    }

    /// <summary>
    /// A till that runs serves from memory when its TPM is no longer its own, and says so all the same. So it is where
    /// the files of its identity are damaged.
    /// </summary>
    private static bool HasNoIdentity(SimTill till) => till.Agent?.Loop.Snapshot is { } shown
        && (shown.Mode.ReasonWhenLocked is LockReason.TpmReplaced or LockReason.NotEnrolled
                or LockReason.IdentityDamaged or LockReason.CertificateDamaged
            || shown.Status.Tpm.State == TpmReports.Replaced);

    private bool IsPutBackWhole(SimTill till) => Server.Find(till.Id) is { IsStranger: true }
        && new[] { FaultKinds.DiskRestored, FaultKinds.TpmRolledBack }.All(
            kind => _plan.Faults.Any(f => f.Kind == kind && f.Till == till.Id));

    /// <summary>Somebody stands at the till until it is enrolled.</summary>
    private void Enrol(SimTill till)
    {
        if (Server.Find(till.Id) is { Signing: not null } && till.Agent?.Loop.Snapshot.AgentId == till.Id)
        {
            return;
        }

        bool answered = false;
        Enrol(till, replace: false, status =>
        {
            answered = true;
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

    private void Enrol(SimTill till, bool replace, Action<int>? answered = null, bool force = false)
    {
        EnrollmentBundle bundle = Server.Add(till.Id);
        EnrollCall call = new(bundle, Replace: replace ? true : null, Force: force ? true : null);
        Order(till, "POST", ManagementPaths.Enroll,
            StrictJson.Write(call, ManagementRequestJsonContext.Wire.EnrollCall), (status, _) =>
            {
                History.Add(new Ordered(Loop.NowUs, till.Id, What(replace, force), $"{status}"));
                answered?.Invoke(status);
            });
    }

    private static string What(bool replace, bool force) =>
        $"enroll{(replace ? " --replace" : "")}{(force ? " --force" : "")}";

    /// <summary>What the knobs make of the agent's configuration.</summary>
    public static AgentConfig ConfigOf(Knobs knobs)
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
            {(knobs.PosRate > 0 ? $"rate = {knobs.PosRate}" : "")}
            {(knobs.PosRate > 0 ? $"burst = {knobs.PosRate}" : "")}
            {(knobs.RequestBytes > 0 ? $"request_bytes = {knobs.RequestBytes}" : "")}
            [management]
            admin_uids = [500]
            viewer_uids = [501]
            [audit]
            on_failure = "{(knobs.RefuseWithoutAudit ? "refuse" : "continue")}"
            {(knobs.SegmentKib > 0 ? $"segment_bytes = {knobs.SegmentKib * 1024L}" : "")}
            {(knobs.RetentionS > 0 ? $"retention = {knobs.RetentionS}" : "")}
            """;
        ConfigOutcome outcome = ConfigReader.Read(
            Encoding.UTF8.GetBytes(toml), new Dictionary<string, string>(), _ => default);
        return outcome.Config ?? throw new PlanException(
            $"The plan's knobs make no configuration: {string.Join("; ", outcome.Errors)}");
    }
}
