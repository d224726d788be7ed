using System.Text;
using System.Text.Json;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Faults;
using LicenseAgent.Sim.World.Server;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Sim.World;

/// <summary>
/// One till: a machine with disk, TPM, clocks and a way to the server, and on it the agent, unchanged, composed by its
/// own composition root over simulated ports. The machine outlives its processes.
/// </summary>
internal sealed partial class SimTill : IDisposable
{
    // As the service manager is set up (RestartSec).
    private const long StartAgainUs = 5_000_000;

    // One is a finding. What crashes at every start would for days say nothing else.
    private const int CrashesMax = 20;

    private readonly SimLoop _loop;
    private readonly Chronicle _history;
    private readonly SimServer _server;
    private readonly SimNet _net;
    private readonly SimRandom _kills;
    private Life? _life;
    private SimClock? _clock;
    private CancellationTokenSource? _stop;
    private SecretMemory? _memory;
    private int _processes;
    private int _boots;
    private int _crashed;
    private readonly int _index;

    public SimTill(SimLoop loop, Chronicle history, SimServer server, SimNet net, AgentConfig config, string id, int index)
    {
        (_loop, _history, _server, _net, Config, Id, _index) = (loop, history, server, net, config, id, index);
        Audit = new SimAudit(Disk.Troubles)
        {
            Removed = OnRetired,
        };
        Tpm = new SimTpm(loop, Stream("tpm"), Stream("tpm-late"));
        Canary = new Canary(loop, history, server, id);
        Logger = new CanaryLogger(Canary);
        _kills = Stream("kills");
        DriftPpm = 0;
    }

    public string Id { get; }

    public SimDisk Disk { get; } = new();

    public SimAudit Audit { get; }

    public SimTpm Tpm { get; }

    public LinkTroubles Link { get; } = new();

    public Canary Canary { get; }

    /// <summary>What stands in its configuration file: read at a start, and when the agent is told to.</summary>
    public AgentConfig Config { get; set; }

    /// <summary>What is wrong with its wall clock.</summary>
    public WallClock Wall { get; } = new();

    public long DriftPpm { get; set; }

    public SimBoot? Boot { get; private set; }

    /// <summary>The running agent; <see langword="null"/> while there is none.</summary>
    public Agent? Agent { get; private set; }

    public bool IsRunning => _life is { IsOver: false };

    /// <summary>Started so far.</summary>
    public int Processes => _processes;

    /// <summary>Told of every call of a port of every process, by name.</summary>
    public Action<string>? PortCalled { get; set; }

    /// <summary>Where operational log lines go: looked through for secrets, unless somebody wants to read them.</summary>
    public ILogger Logger { get; set; }

    /// <summary>All told once, when a request leaves.</summary>
    public Action? RequestLeaves { get; set; }

    /// <summary>All told once, when an answer that nobody tampered with has arrived.</summary>
    public Action? AnswerArrives { get; set; }

    /// <summary>Told once when a confirm leaves.</summary>
    public Action? ConfirmLeaves { get; set; }

    public SimRandom Stream(string concern) => SimRandom.Of(_loop.Seed, Id, concern);

    /// <summary>Switches the machine on, if it is off, and starts the agent, if it is not running.</summary>
    public void Start()
    {
        if (IsRunning)
        {
            // Told to stop while it was held, it ends when it goes on; or the machine is going off. The start comes after.
            _startAgain = _stop is { IsCancellationRequested: true };
            return;
        }

        if (IsKeptOff())
        {
            return;
        }

        if (Boot is null)
        {
            Tpm.PowerUp();
            Boot = new SimBoot(_loop, BootId(++_boots), DriftPpm);
        }

        SimContext context = new(_loop, (_index * 1_000) + ++_processes, $"{Id}#{_processes}");
        Life life = new(_loop, context, OnCrashPoint) { Called = OnPortCall };
        context.Crashed = e => OnReturn(life, e, _stop!.Token);
        _life = life;
        ArmCrash();
        _stop = new CancellationTokenSource();
        SimClock clock = new(_loop, context, Boot, WallUnixUs);
        _clock = clock;
        _history.Add(new Started(_loop.NowUs, Id, _processes, Boot.Id));
        AgentPorts ports = PortsOf(life, clock);
        context.Post(_ => RunAgent(life, ports, _stop.Token), null);
    }

    public void Dispose()
    {
        Agent?.Dispose();
        Agent = null;
        _memory?.Dispose();
        _stop?.Dispose();
    }

    private void End(EndOf how)
    {
        if (_life is { IsOver: false } life)
        {
            life.Kill(_kills);
            OnEnd(life, how, "");
        }
    }

    private void OnEnd(Life life, EndOf how, string detail, string? stack = null)
    {
        if (!life.IsOver)
        {
            life.Kill(_kills);
        }

        if (ReferenceEquals(life, _life))
        {
            _life = null;
            Release();
            Forget();
        }

        _history.Add(new Ended(_loop.NowUs, Id, how, detail) { Stack = stack });
        if (_isGoingOff)
        {
            ShutDown();
        }
    }

    /// <summary>
    /// The operating system takes back what a process held outside the collector's reach. Later, for the process may
    /// be on the stack at this moment.
    /// </summary>
    private void Release()
    {
        (Agent? agent, SecretMemory? memory) = (Agent, _memory);
        (Agent, _memory) = (null, null);
        _loop.After(0, () =>
        {
            agent?.Dispose();

            // Its own, where it died before there was an agent to give it back.
            memory?.Dispose();
        });
    }

    private async void RunAgent(Life life, AgentPorts ports, CancellationToken stop)
    {
        try
        {
            AgentMetrics metrics = new(CounterState.Empty, "sim");
            _memory = new SecretMemory(ports.Randomness);
            Agent agent = await Daemon.Agent.CreateAsync(
                Config, ports, new AgentProgram("sim", SimEpoch.Built), metrics, text => Canary.Look("metrics", text), Logger,
                () => new ConfigOutcome(Config, []), new ProtectedMemory(_memory, []));
            Agent = agent;
            await agent.RunAsync(stop);
            OnReturn(life, null, stop);
        }
        catch (NodeDeadException)
        {
            // It died at this very call, which is noted already.
        }
        catch (Exception e) when (e is not LeftTheLoopException)
        {
            OnReturn(life, e, stop);
        }
    }

    /// <summary>A process came to its end: told to, or by itself, and then it is started again.</summary>
    private void OnReturn(Life life, Exception? failure, CancellationToken stop)
    {
        EndOf how = Judge(
            failure, ran: Agent is not null, asked: stop.IsCancellationRequested,
            diskInTrouble: failure is StorageException && HadTrouble(FaultKinds.Disk, _loop.NowUs),
            newerFiles: failure is NewerFormatException && Formats.AreNewer(Disk));
        OnEnd(life, how, failure is null ? "" : $"{failure.GetType().Name}: {failure.Message}", failure?.ToString());
        _crashed += how == EndOf.Crash ? 1 : 0;
        if (how != EndOf.NewerFormat && !stop.IsCancellationRequested && _crashed < CrashesMax)
        {
            StartAgain(StartAgainUs);
        }
    }

    /// <summary>
    /// What it says of the agent. Once it runs it has a state for everything that its surroundings do: whatever gets out
    /// of it, production exits 70 for, and so it does for an end that nobody asked for.
    /// </summary>
    /// <param name="failure"><see langword="null"/>: it returned.</param>
    /// <param name="ran">The agent had been made.</param>
    public static EndOf Judge(Exception? failure, bool ran, bool asked, bool diskInTrouble, bool newerFiles) =>
        failure switch
        {
            null => asked ? EndOf.Stop : EndOf.Crash,
            NewerFormatException when newerFiles => EndOf.NewerFormat,

            // On such a disk not even the log can be opened.
            StorageException when !ran && diskInTrouble => EndOf.Stop,
            _ => EndOf.Crash,
        };

    /// <summary>What the service manager does, and it is gone when the machine is.</summary>
    private void StartAgain(long afterUs)
    {
        SimBoot? boot = Boot;
        _loop.After(afterUs, () =>
        {
            if (boot is not null && ReferenceEquals(boot, Boot))
            {
                Start();
            }
        });
    }

    /// <summary>
    /// A fault of these kinds was not over before a time; of what fails once it counts how long it might have.
    /// </summary>
    public bool HadTrouble(IReadOnlyList<string> kinds, long sinceUs)
    {
        HashSet<int> over = [];
        for (int i = _history.All.Count - 1; i >= 0; i--)
        {
            Happening h = _history.All[i];
            if (h is FaultEnded ended && ended.AtUs < sinceUs)
            {
                over.Add(ended.Fault);
            }
            else if (h is FaultBegan began && (began.Node == Id || began.Node.Length == 0)
                && kinds.Contains(began.Kind) && !over.Contains(began.Fault))
            {
                return true;
            }
        }

        return false;
    }

    private AgentPorts PortsOf(Life life, SimClock clock)
    {
        SimRandom chance = Stream($"ports-{_processes}");
        TpmPorts tpm = new(life, Tpm, chance);
        SmallPorts small = new(life, Boot!, Stream($"os-{_processes}"));
        return new AgentPorts(
            tpm, tpm, tpm, StandInCrypto.Verify, new StateFilesPort(life, Disk, chance),
            new AuditFilePort(life, Audit, Disk.Troubles, chance), small,
            new UpstreamPort(this, life, _net, _server.Pin, Stream($"net-{_processes}")), small, small, clock);
    }

    private long WallUnixUs() => Math.Max(0, (SimEpoch.Start.UnixMs * 1_000) + _loop.NowUs + Wall.OffsetUs);

    private string BootId(int number)
    {
        byte[] random = new byte[16];
        Stream($"boot-{number}").Fill(random);
        return new Guid(random).ToString("D");
    }
}
