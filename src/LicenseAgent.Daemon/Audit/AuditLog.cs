using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>
/// The audit log while the agent runs. Any thread appends; a record joins the batch that will be written next, and the
/// first of a batch queues the one work item that makes the one write. Whoever answers an application waits for that
/// write; whoever changes a secret, or lets a point of the chain leave the process, waits for the fsync.
/// <para>
/// One lock guards everything here (<c>_NeedsLock</c>); of the ports only clock, work items and the start of an fsync
/// are called under it. At most one work item is queued or running (<see cref="_busy"/>), so writes come one after the
/// other, in the order of the chain. The bytes in front of <see cref="_length"/> are whole lines and never change.
/// </para>
/// <para>
/// When a write fails, what was not written is gone and the chain goes on from the last record on the disk. Under
/// <c>continue</c> validations are answered all the same and counted; under <c>refuse</c> they fail. Everything else
/// fails either way, by <see cref="SyncAsync(AuditTicket)"/>. The first batch that can be written again begins with a
/// record of the gap; where nobody appends anything the log itself tries, once a second.
/// </para>
/// </summary>
internal sealed partial class AuditLog : IDisposable
{
    // 256 connections wait for one record each, so this is never reached unless the disk stalls and callers do not
    // wait. What would not fit is treated as not writable.
    private const int BatchMaxBytes = 1024 * 1024;

    // While the log is not writable, a validation tries again at most this often, and so does the log itself.
    // Everything else tries each time.
    private const long RetryMs = 1_000;

    private readonly Lock _gate = new();
    private readonly IAuditFile _file;
    private readonly IWorkItems _work;
    private readonly IBootClock _clock;
    private readonly Func<long, UtcTime> _trustedNow;
    private volatile AuditConfig _config;
    private readonly AuditRetention _retention;
    private readonly ITimer _syncTimer;
    private readonly ITimer _retryTimer;
    private readonly Action _writeNext;
    private readonly AuditChain _chain;

    // Batches to write, oldest first; records join the last. More than one only while a chain begins.
    private readonly Queue<AuditBatch> _toWrite = new();
    private AuditBatch? _open;
    private AuditBatch? _writing;
    private byte[]? _spareBuffer;
    private bool _busy;

    private AuditIdentity _identity;
    private AuditPoint _written;
    private long _length;
    private AuditGap? _gap;
    private long _retryAtMs;
    private Exception? _bug;

    private AuditLog(AuditLogPorts ports, AuditIdentity identity, AuditConfig config, AuditEnd end)
    {
        (_file, _work, _clock, _trustedNow) = (ports.File, ports.Work, ports.Clock, ports.TrustedNow);
        (_identity, _config, _firstSeq) = (identity, config, end.FirstSeq);
        _retention = new AuditRetention(ports, config, this);
        _chain = new AuditChain(end.Point, ports.Clock.BootId);
        (_written, _synced, _length, _syncedLength) = (end.Point, end.Point, end.Length, end.Length);
        (_sinceCheckpoint, _checkpointUpMs) = (end.SinceCheckpoint, end.CheckpointUpMs ?? ports.Clock.BootMs);
        _writeNext = WriteNext;
        _syncTimer = ports.Time.CreateTimer(OnSyncTimer, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _retryTimer = ports.Time.CreateTimer(OnRetryTimer, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>What validations do while the log cannot be written.</summary>
    public AuditFailure OnFailure => _config.OnFailure;

    /// <summary>Other limits and another policy from now on; the path stays. Any thread.</summary>
    public void Use(AuditConfig config)
    {
        _config = config;
        _retention.Use(config);
    }

    /// <summary>Newest record in the kernel's hands.</summary>
    public AuditPoint Written
    {
        get
        {
            lock (_gate)
                return _written;
        }
    }

    /// <summary>Newest record on stable storage: the only kind that leaves the process.</summary>
    public AuditPoint Synced
    {
        get
        {
            lock (_gate)
                return _synced;
        }
    }

    /// <summary>What <c>audit.log</c> holds; a reader looks no further.</summary>
    public AuditExtent Newest
    {
        get
        {
            lock (_gate)
                return new AuditExtent(_firstSeq, _length);
        }
    }

    /// <summary>Why the log cannot be written at the moment; <see langword="null"/> when it can.</summary>
    public string? Failing
    {
        get
        {
            lock (_gate)
                return _gap?.Reason ?? _doubt?.Message;
        }
    }

    public AuditRetention Retention => _retention;

    public AuditIdentity Identity
    {
        get
        {
            lock (_gate)
                return _identity;
        }
    }

    /// <summary>Adds a record. It is in the log when <see cref="SyncAsync(AuditTicket)"/> says so.</summary>
    public AuditTicket Append(AuditEntry entry)
    {
        lock (_gate)
            return Append_NeedsLock(entry);
    }

    /// <summary>Adds a validation. It may be answered when <see cref="AuditBatch.Written"/> completes.</summary>
    public AuditTicket Append(in AuditedValidation validation)
    {
        lock (_gate)
        {
            long upMs = _clock.BootMs;
            AuditBatch batch = BatchFor_NeedsLock(upMs, insist: false);
            if (batch.State != BatchState.Lost)
            {
                int bytes = _chain.Write(batch.Room(), _trustedNow(upMs), upMs, in validation);
                Added_NeedsLock(batch, bytes);
            }
            return new AuditTicket(_chain.Seq, batch);
        }
    }

    public void Dispose()
    {
        // A timer may be on its way here: it finds nothing to tell of.
        lock (_gate)
            _gap = null;
        _syncTimer.Dispose();
        _retryTimer.Dispose();
        _retention.Dispose();
        _chain.Dispose();
    }

    private AuditTicket Append_NeedsLock(AuditEntry entry)
    {
        long upMs = _clock.BootMs;
        AuditBatch batch = BatchFor_NeedsLock(upMs, insist: true);
        if (batch.State != BatchState.Lost)
        {
            int bytes = _chain.Write(batch.Room(), _trustedNow(upMs), upMs, entry);
            Added_NeedsLock(batch, bytes);
        }
        return new AuditTicket(_chain.Seq, batch);
    }

    private void Added_NeedsLock(AuditBatch batch, int bytes)
    {
        batch.Added(bytes, _chain.End, counts: true);
        _sinceCheckpoint++;
    }

    /// <summary>The batch a record joins: the open one, a new one, or a lost one when nothing can be written.</summary>
    private AuditBatch BatchFor_NeedsLock(long upMs, bool insist)
    {
        if (_bug is not null)
            throw new InvariantBroken($"The audit log stopped: {_bug}");
        if (_open is { Length: < BatchMaxBytes } open)
            return open;
        bool full = _open is not null;
        if (full || (_gap is not null && !insist && upMs < _retryAtMs))
            return LostBatch_NeedsLock(full, upMs);
        return OpenBatch_NeedsLock(upMs, begins: null);
    }

    private AuditBatch OpenBatch_NeedsLock(long upMs, ChainStart? begins)
    {
        var batch = new AuditBatch(_spareBuffer, _trustedNow(upMs), upMs) { Begins = begins };
        _spareBuffer = null;
        _open = batch;
        _toWrite.Enqueue(batch);
        if (_gap is not null)
        {
            batch.ToldLost = _gap.Records;
            int bytes = _chain.Write(batch.Room(), batch.Time, upMs, _gap.ToEntry(_config.OnFailure, batch.Time, upMs));
            batch.Added(bytes, _chain.End, counts: false);
        }
        QueueWrite_NeedsLock();
        return batch;
    }

    private AuditBatch LostBatch_NeedsLock(bool full, long upMs)
    {
        if (full)
        {
            _gap ??= BeginGap_NeedsLock(
                new AuditGap(_trustedNow(upMs), upMs, "audit_backlog", "The disk does not keep up."));
        }
        _gap!.Records++;
        var batch = new AuditBatch([], _gap.From, upMs);
        batch.OnLost(_gap.ToFailure(), accepted: _config.OnFailure == AuditFailure.Continue);
        return batch;
    }
}
