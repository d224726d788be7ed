using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>The work item: bringing the file into shape where needed, one write, what follows from it.</summary>
internal sealed partial class AuditLog
{
    // A failed write may have left part of a line behind _length.
    private bool _torn;
    private bool _shaping;
    private bool _resumeAfterSync;

    private void QueueWrite_NeedsLock()
    {
        if (_busy)
            return;
        _busy = true;
        _work.Queue(_writeNext);
    }

    private void WriteNext()
    {
        try
        {
            AuditBatch? batch;
            (bool shape, bool roll) = (false, false);
            lock (_gate)
            {
                batch = _toWrite.TryPeek(out AuditBatch? next) ? next : null;
                roll = RollIsDue_NeedsLock(batch);
                shape = _torn || _doubt is not null || batch?.Begins is not null || roll;
                if (shape && _syncing)
                {
                    // What a sync covers must still be there when it ends.
                    _resumeAfterSync = true;
                    return;
                }
                _shaping = shape;
                if (!shape)
                    batch = TakeBatch_NeedsLock();
            }
            if (shape)
                _ = ShapeThenWriteAsync(batch?.Begins, roll);
            else
                Write(batch);
        }
        catch (Exception e)
        {
            // The root of this work: nothing but a bug comes here, and those who wait must hear of it.
            Stop(e);
        }
    }

    /// <summary>Ends its own failures.</summary>
    private async Task ShapeThenWriteAsync(ChainStart? begins, bool roll)
    {
        try
        {
            if (_torn || _doubt is not null)
                await MendAsync();
            if (begins is not null)
                await SetAsideAsync(begins.ClosedName);
            else if (roll)
                await RollAsync();
            AuditBatch? batch;
            lock (_gate)
            {
                Shaped_NeedsLock(begins);
                batch = TakeBatch_NeedsLock();
            }
            Write(batch);
        }
        catch (StorageException e)
        {
            OnFailed(e);
        }
        catch (Exception e)
        {
            // As above.
            Stop(e);
        }
    }

    private void Shaped_NeedsLock(ChainStart? begins)
    {
        _shaping = false;
        AllSynced_NeedsLock();
        if (begins is null)
            return;
        _identity = begins.Identity;
        _written = new AuditPoint(0, begins.Genesis);
        NewFile_NeedsLock();
    }

    private AuditBatch? TakeBatch_NeedsLock()
    {
        _writing = _toWrite.TryDequeue(out AuditBatch? batch) ? batch : null;
        if (ReferenceEquals(_writing, _open))
            _open = null;
        return _writing;
    }

    private void Write(AuditBatch? batch)
    {
        if (batch is not null)
        {
            try
            {
                _file.Append(batch.Bytes);
            }
            catch (StorageException e)
            {
                lock (_gate)
                    _torn = true;
                OnFailed(e);
                return;
            }
        }
        lock (_gate)
        {
            if (batch is not null)
                OnWritten_NeedsLock(batch);
            _busy = false;
            if (_toWrite.Count > 0 || (_doubt is not null && SyncIsWanted_NeedsLock()))
                QueueWrite_NeedsLock();
        }
        batch?.CompleteWritten();
    }

    private void OnWritten_NeedsLock(AuditBatch batch)
    {
        _length += batch.Length;
        _written = batch.End;
        _writing = null;
        if (_gap is not null && (_gap.Records -= batch.ToldLost) == 0)
            _gap = null;
        _spareBuffer = batch.OnWritten();
        _unsynced.Enqueue(batch);
        if (batch.SyncIsWanted)
            StartSync_NeedsLock();
        else
            ArmSyncTimer_NeedsLock();
    }

    /// <summary>Everything not written is lost, and the chain goes on from the last record on the disk.</summary>
    private void OnFailed(StorageException failure)
    {
        lock (_gate)
        {
            LoseUnwritten_NeedsLock(failure);
            _retryAtMs = _clock.BootMs + RetryMs;
            (_busy, _shaping) = (false, false);
            if (_doubt is not null)
                FailSyncs_NeedsLock(failure);
            else
                ContinueSync_NeedsLock();
        }
    }

    /// <summary>A gap is told of as soon as it can be, whether anybody appends something or not.</summary>
    private void OnRetryTimer(object? _)
    {
        lock (_gate)
        {
            if (_gap is null || _bug is not null)
                return;
            if (_open is null)
                OpenBatch_NeedsLock(_clock.BootMs, begins: null);
            ArmRetryTimer_NeedsLock();
        }
    }

    private AuditGap BeginGap_NeedsLock(AuditGap gap)
    {
        ArmRetryTimer_NeedsLock();
        return gap;
    }

    private void ArmRetryTimer_NeedsLock() =>
        _retryTimer.Change(TimeSpan.FromMilliseconds(RetryMs), Timeout.InfiniteTimeSpan);

    private void LoseUnwritten_NeedsLock(StorageException failure)
    {
        if (_writing is not null)
            Lose_NeedsLock(_writing, failure);
        foreach (AuditBatch batch in _toWrite)
            Lose_NeedsLock(batch, failure);
        _toWrite.Clear();
        (_writing, _open) = (null, null);
        _chain.Rewind(_written);
    }

    private void Lose_NeedsLock(AuditBatch batch, StorageException failure)
    {
        _gap ??= BeginGap_NeedsLock(new AuditGap(batch.Time, batch.UpMs, failure.Reason, failure.Message));
        _gap.Records += batch.Records;
        batch.OnLost(failure, accepted: _config.OnFailure == AuditFailure.Continue && _bug is null);
    }

    /// <summary>Nothing is written any more, nobody waits for ever, and the next append tells of the bug.</summary>
    public void Stop(Exception bug)
    {
        lock (_gate)
        {
            _bug = bug;
            var failure = new StorageException("audit_stopped", "The audit log stopped on a bug.", bug);
            FailSyncs_NeedsLock(failure);
            LoseUnwritten_NeedsLock(failure);
        }
    }
}
