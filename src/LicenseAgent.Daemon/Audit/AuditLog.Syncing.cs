using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>fsync: at once for who asks, otherwise by a timer that runs while something is not fsynced.</summary>
internal sealed partial class AuditLog
{
    // What a power cut may lose is at most 100 ms old: this, and a quarter of it for the fsync itself.
    private static readonly TimeSpan SyncEvery = TimeSpan.FromMilliseconds(75);

    private readonly Queue<AuditBatch> _unsynced = new();
    private AuditPoint _synced;
    private long _syncedLength;
    private bool _syncing;
    private bool _timerArmed;

    // Set by a failed fsync: the kernel may have dropped pages and called them clean, so another fsync proves nothing.
    private StorageException? _doubt;

    /// <summary>
    /// Everything appended so far is on stable storage: the newest point that may leave the process.
    /// </summary>
    /// <exception cref="StorageException">Some of it is not in the log, or not durable.</exception>
    public Task<AuditPoint> SyncAsync()
    {
        lock (_gate)
        {
            AuditBatch? last = _open ?? _toWrite.LastOrDefault() ?? _writing ?? _unsynced.LastOrDefault();
            return last is null ? Task.FromResult(_synced) : SyncedTask_NeedsLock(last);
        }
    }

    /// <summary>The record is on stable storage, and so is everything before it.</summary>
    /// <exception cref="StorageException">It is not in the log, or not durable.</exception>
    public Task<AuditPoint> SyncAsync(AuditTicket ticket)
    {
        lock (_gate)
            return SyncedTask_NeedsLock(ticket.Batch);
    }

    private Task<AuditPoint> SyncedTask_NeedsLock(AuditBatch batch)
    {
        if (batch.State == BatchState.Synced)
            return Task.FromResult(_synced);
        Task<AuditPoint> synced = batch.WaitSynced();
        if (_doubt is not null)
            QueueWrite_NeedsLock();
        else if (batch.State == BatchState.Written)
            StartSync_NeedsLock();
        return synced;
    }

    private void ArmSyncTimer_NeedsLock()
    {
        if (_timerArmed || _syncing || _doubt is not null)
            return;
        _timerArmed = true;
        _syncTimer.Change(SyncEvery, Timeout.InfiniteTimeSpan);
    }

    private void OnSyncTimer(object? _)
    {
        lock (_gate)
        {
            _timerArmed = false;
            StartSync_NeedsLock();
        }
    }

    private void StartSync_NeedsLock()
    {
        // A sync under way does not cover what was written since: its end starts the next.
        if (_syncing || _doubt is not null || _unsynced.Count == 0 || _shaping)
            return;
        _syncing = true;
        _ = RunSyncAsync(_written, _length, _unsynced.Count);
    }

    /// <summary>Ends its own failures.</summary>
    private async Task RunSyncAsync(AuditPoint covered, long length, int batches)
    {
        try
        {
            await _file.SyncAsync();
            lock (_gate)
                OnSynced_NeedsLock(covered, length, batches);
        }
        catch (StorageException e)
        {
            lock (_gate)
                OnSyncFailed_NeedsLock(e);
        }
        catch (Exception e)
        {
            // The root of this task: a bug, and those who wait must hear of it.
            Stop(e);
        }
    }

    private void OnSynced_NeedsLock(AuditPoint covered, long length, int batches)
    {
        (_synced, _syncedLength, _syncing) = (covered, length, false);
        for (; batches > 0; batches--)
            _unsynced.Dequeue().OnSynced(covered);
        ResumeWrite_NeedsLock();
        ContinueSync_NeedsLock();
    }

    private void OnSyncFailed_NeedsLock(StorageException failure)
    {
        (_doubt, _syncing) = (failure, false);
        FailSyncs_NeedsLock(failure);
        ResumeWrite_NeedsLock();
    }

    private void ResumeWrite_NeedsLock()
    {
        if (_resumeAfterSync)
            _work.Queue(_writeNext);
        _resumeAfterSync = false;
    }

    private void ContinueSync_NeedsLock()
    {
        if (SyncIsWanted_NeedsLock())
            StartSync_NeedsLock();
        else if (_unsynced.Count > 0)
            ArmSyncTimer_NeedsLock();
    }

    private bool SyncIsWanted_NeedsLock() => _unsynced.Any(b => b.SyncIsWanted);

    private void FailSyncs_NeedsLock(StorageException failure)
    {
        foreach (AuditBatch batch in _unsynced)
            batch.OnSyncFailed(failure);
    }

    /// <summary>The file was just made durable as it is.</summary>
    private void AllSynced_NeedsLock()
    {
        (_synced, _syncedLength) = (_written, _length);
        while (_unsynced.TryDequeue(out AuditBatch? batch))
            batch.OnSynced(_synced);
    }

    /// <summary>
    /// Cuts a torn line. After a failed fsync the records it left in doubt are read back and, when the chain proves
    /// them whole, go into a new file; otherwise they are lost, and the new file ends where the last good fsync did.
    /// </summary>
    private async Task MendAsync()
    {
        bool rewrite;
        long length;
        lock (_gate)
        {
            rewrite = _doubt is not null;
            length = _length;
        }
        bool whole = !rewrite || AuditReader.ChainReaches(_file, _syncedLength, length, _synced, _written);
        await _file.CutAsync(whole ? length : _syncedLength, rewrite);
        lock (_gate)
        {
            if (!whole)
                LoseUnsynced_NeedsLock(_doubt!);
            (_torn, _doubt) = (false, null);
        }
    }

    private void LoseUnsynced_NeedsLock(StorageException failure)
    {
        while (_unsynced.TryDequeue(out AuditBatch? batch))
            Lose_NeedsLock(batch, failure);
        (_written, _length) = (_synced, _syncedLength);
        LoseUnwritten_NeedsLock(failure);
    }
}
