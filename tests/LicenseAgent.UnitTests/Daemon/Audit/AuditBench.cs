using System.Security.Cryptography;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.UnitTests.Daemon.Audit;

/// <summary>A boot clock that stands until it is moved; a new boot has a new id.</summary>
internal sealed class StandingClock(string bootId, long bootMs) : IBootClock
{
    private long _bootMs = bootMs;

    public string BootId { get; } = bootId;

    public long BootMs
    {
        get => Volatile.Read(ref _bootMs);
        set => Volatile.Write(ref _bootMs, value);
    }

    public long AwakeMs => BootMs;
}

/// <summary>Work that waits for the test to run it; timers that fire when the test says so.</summary>
internal sealed class HandTurned : TimeProvider, IWorkItems
{
    private readonly System.Collections.Concurrent.ConcurrentQueue<Action> _work = new();
    private readonly List<Timer> _timers = [];

    public int Waiting => _work.Count;

    public bool TimerIsArmed => _timers.Exists(t => t.Armed);

    public void Queue(Action work) => _work.Enqueue(work);

    public void RunOne()
    {
        if (_work.TryDequeue(out Action? work))
            work();
    }

    public void RunAll()
    {
        while (_work.TryDequeue(out Action? work))
            work();
    }

    public void FireTimers()
    {
        foreach (Timer timer in _timers.Where(t => t.Armed).ToList())
            timer.Fire();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(() => callback(state));
        timer.Change(dueTime, period);
        _timers.Add(timer);
        return timer;
    }

    private sealed class Timer(Action fire) : ITimer
    {
        public bool Armed { get; private set; }

        public void Fire()
        {
            Armed = false;
            fire();
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Armed = dueTime != Timeout.InfiniteTimeSpan;
            return true;
        }

        public void Dispose() => Armed = false;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

/// <summary>A log on a simulated disk, turned by hand, and the keys to verify it.</summary>
internal sealed class AuditBench
{
    public const string AgentId = "pos-001";
    public static readonly UtcTime Start = new(1_800_000_000_000);
    public static readonly ECDsa Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    public static readonly EcPublicJwk PublicKey = EcPublicJwk.From(Key);
    public static readonly AuditIdentity Identity = new(AgentId, PublicKey);

    public static readonly AuditConfig Config = new(
        "/var/log/license-agent/audit.log", AuditFailure.Continue, TimeSpan.FromDays(90), 2L << 30, 64L << 20);

    private AuditBench(DiskOfAudit disk, StandingClock clock) => (Disk, Clock) = (disk, clock);

    public DiskOfAudit Disk { get; }

    public StandingClock Clock { get; }

    /// <summary>How far trusted now is behind the truth.</summary>
    public TimeSpan Behind { get; set; }

    public HandTurned Hand { get; } = new();

    public AuditLog Log { get; private set; } = null!;

    public AuditOpening Opening { get; private set; } = null!;

    public static async Task<AuditBench> OpenAsync(
        DiskOfAudit? disk = null, StandingClock? clock = null, AuditFailure onFailure = AuditFailure.Continue,
        AuditIdentity? identity = null, AuditConfig? config = null)
    {
        var bench = new AuditBench(disk ?? new DiskOfAudit(), clock ?? new StandingClock("boot-a", 100_000));
        var ports = new AuditLogPorts(
            bench.Disk, bench.Hand, bench.Clock, bench.Hand,
            upMs => Start + TimeSpan.FromMilliseconds(upMs) - bench.Behind, Es256.Verify);
        bench.Opening = await AuditLog.OpenAsync(
            ports, identity ?? Identity, (config ?? Config) with { OnFailure = onFailure }, "0.1.0");
        bench.Log = bench.Opening.Log;
        return bench;
    }

    public static AuditEntry Entry(string what, string? op = null) =>
        new(what, op, AuditActor.Agent, AuditOutcome.Ok, new AuditDetails { { "version", 7 } });

    public static AuditedValidation Validation(uint uid, Nonce16 nonce, string reason = "VALID") =>
        new(uid, 100, 4711, nonce, TokenTag.Of("key"u8, "token"u8), reason, "lic-1", 7);

    public static Nonce16 Nonce(int number)
    {
        byte[] bytes = new byte[16];
        BitConverter.TryWriteBytes(bytes, number);
        return Nonce16.From(bytes);
    }

    public static AuditVerifier Verifier(params AuditAnchor[] anchors) =>
        new(new AuditTrust(AgentId, PublicKey, Es256.Verify, anchors));

    public string Text => System.Text.Encoding.UTF8.GetString(Disk.Content);

    public AuditVerifyResponse Verify(params AuditAnchor[] anchors) => Verify(Disk, anchors);

    public static AuditVerifyResponse Verify(DiskOfAudit disk, params AuditAnchor[] anchors)
    {
        using AuditVerifier verifier = Verifier(anchors);
        return AuditReader.AtRest(disk).Verify(verifier);
    }

    public async Task CheckpointAsync(long generation = 1)
    {
        Task<AuditCheckpoint> composing = Log.ComposeCheckpointAsync(generation, 3, 1000);
        Hand.RunAll();
        AuditCheckpoint checkpoint = await composing;
        byte[] input = checkpoint.ToSigningInput();
        Log.AppendCheckpoint(checkpoint, CompactJws.Assemble(input, Es256.Sign(Key, input)));
        Hand.RunAll();
    }
}
