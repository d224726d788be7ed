using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>Start, stop, another identity, and checkpoints.</summary>
internal sealed partial class AuditLog
{
    // A checkpoint is due after 1 000 records, at most one a minute, and hourly if there was any record.
    private const int CheckpointRecords = 1_000;
    private const long CheckpointMinMs = 60_000;
    private const long CheckpointMaxMs = 3_600_000;

    private int _sinceCheckpoint;
    private long _checkpointUpMs;

    /// <summary>
    /// Opens the log, cuts a torn tail, and adds the record of the start. A disk that cannot be written at the moment
    /// does not keep the agent from starting: the log is then failing, and goes on once it can.
    /// </summary>
    /// <param name="atRest">
    /// Reads the files while nobody writes them: with the first record they may be closed, set aside and removed.
    /// </param>
    /// <exception cref="StorageException">The log cannot be read.</exception>
    public static async Task<AuditOpening> OpenAsync(
        AuditLogPorts ports, AuditIdentity identity, AuditConfig config, string agentVersion,
        Action<IAuditFile>? atRest = null)
    {
        await TakeBackAsync(ports.File);
        AuditEnd end = AuditEnd.Read(ports.File, identity, ports.Verify, ports.Clock.BootId);
        var log = new AuditLog(ports, identity, config, end);
        await log.SettleAsync(end.Torn > 0);
        atRest?.Invoke(ports.File);

        // A crash came between the new identity and the new chain: the chain of the old one ends here. Should that
        // fail now, the log is failing and says so.
        if (end.OfAnother)
            _ = log.AdoptAsync(identity);
        AuditPoint continues = end.OfAnother ? new AuditPoint(0, identity.Genesis) : end.Point;
        log.Append(new AuditEntry(
            AuditEnd.StartedEvent, null, AuditActor.Agent, AuditOutcome.Ok,
            new AuditDetails
            {
                { "clean", end.Clean },
                { "continues", continues.Seq },
                { "torn_bytes", end.Torn },
                { "damaged_lines", (long)end.Damaged },
                { "agent_version", agentVersion },
            }));
        log._retention.Start();
        return new AuditOpening(log, end.Clean, continues, end.Torn, end.Damaged);
    }

    /// <summary>Adds the record of the stop and waits for its fsync. Nothing may be appended any more.</summary>
    /// <exception cref="StorageException">The log cannot be written.</exception>
    public Task<AuditPoint> StopAsync() => SyncAsync(Append(new AuditEntry(
        AuditEnd.StoppedEvent, null, AuditActor.Agent, AuditOutcome.Ok, AuditDetails.None)));

    /// <summary>
    /// From here on the log is another identity's: after enrolment, or a new one. The files of the chain so far are
    /// made durable and set aside, each as <c>chain-….log</c> by the hash of its last record, and the new chain's
    /// first record names the last of them.
    /// </summary>
    /// <exception cref="StorageException">The log cannot be written; it stays what it was.</exception>
    public Task<AuditPoint> AdoptAsync(AuditIdentity identity)
    {
        lock (_gate)
        {
            AuditPoint closed = _chain.End;
            string name = AuditSegments.SetAsideName(closed.Head);
            var begins = new ChainStart(identity, identity.Genesis, name);
            _chain.Rewind(new AuditPoint(0, begins.Genesis));
            OpenBatch_NeedsLock(_clock.BootMs, begins);
            AuditTicket ticket = Append_NeedsLock(new AuditEntry(
                "chain_started", null, AuditActor.Agent, AuditOutcome.Ok,
                new AuditDetails { { "closed", name }, { "last_seq", closed.Seq }, { "head", closed.Head } }));
            _sinceCheckpoint = 0;
            return SyncedTask_NeedsLock(ticket.Batch);
        }
    }

    /// <summary>Whether the TPM should sign the chain's end now. A rotation asks for it whatever this says.</summary>
    public bool CheckpointIsDue
    {
        get
        {
            lock (_gate)
            {
                long age = _clock.BootMs - _checkpointUpMs;
                return (_sinceCheckpoint >= CheckpointRecords && age >= CheckpointMinMs)
                    || (_sinceCheckpoint > 0 && age >= CheckpointMaxMs);
            }
        }
    }

    /// <summary>What the TPM is to sign: the newest record, fsynced.</summary>
    /// <exception cref="StorageException">The log cannot be written.</exception>
    public async Task<AuditCheckpoint> ComposeCheckpointAsync(long generation, long resetCount, long tpmClockMs)
    {
        AuditPoint end = await SyncAsync();
        UtcTime time = _trustedNow(_clock.BootMs);
        return new AuditCheckpoint(Identity.AgentId, end.Seq, end.Head, generation, resetCount, tpmClockMs, time);
    }

    /// <summary>Adds the signed checkpoint. One that lags too far behind the log is worth nothing.</summary>
    /// <returns><see langword="null"/> when it lags too far: compose anew.</returns>
    public AuditTicket? AppendCheckpoint(AuditCheckpoint checkpoint, ReadOnlySpan<byte> jws)
    {
        string text = System.Text.Encoding.ASCII.GetString(jws);
        lock (_gate)
        {
            if (_chain.Seq - checkpoint.Seq >= AuditCheckpoint.MaxLag)
                return null;
            AuditTicket ticket = Append_NeedsLock(new AuditEntry(
                AuditCheckpoint.Event, $"generation-{checkpoint.Generation}", AuditActor.Agent, AuditOutcome.Ok,
                new AuditDetails { { "jws", text } }));
            (_sinceCheckpoint, _checkpointUpMs) = (0, _clock.BootMs);
            return ticket;
        }
    }

    /// <summary>Says why a checkpoint that is due was not made; the next is due in a minute at the earliest.</summary>
    public AuditTicket AppendCheckpointMissed(string reason)
    {
        lock (_gate)
        {
            AuditTicket ticket = Append_NeedsLock(new AuditEntry(
                AuditCheckpoint.MissedEvent, null, AuditActor.Agent, AuditOutcome.Failed,
                new AuditDetails { { "reason", reason } }));
            _checkpointUpMs = _clock.BootMs;
            return ticket;
        }
    }

    /// <summary>Makes durable what a run before left unsynced, so that the end may leave the process.</summary>
    private async Task SettleAsync(bool torn)
    {
        try
        {
            if (torn)
                await _file.CutAsync(_length, rewrite: false);
            else
                await _file.SyncAsync();
        }
        catch (StorageException e)
        {
            (_torn, _doubt) = (torn, e);
        }
    }
}

/// <summary>What the log needs of the world.</summary>
/// <param name="TrustedNow">Trusted now at a reading of CLOCK_BOOTTIME, milliseconds.</param>
internal sealed record AuditLogPorts(
    IAuditFile File, IWorkItems Work, IBootClock Clock, TimeProvider Time, Func<long, UtcTime> TrustedNow,
    Es256Verify Verify);

/// <summary>The log, open, and what its end said.</summary>
/// <param name="Clean">The last run ended with a stop, or there was none.</param>
/// <param name="End">The record the chain goes on from: compare it with what is remembered elsewhere.</param>
/// <param name="Torn">Bytes of a last line that were cut.</param>
/// <param name="Damaged">Whole lines at the end that are no records; they stay, and verification names them.</param>
internal sealed record AuditOpening(AuditLog Log, bool Clean, AuditPoint End, long Torn, int Damaged);
