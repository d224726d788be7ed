using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;

namespace LicenseAgent.Daemon.Audit;

/// <summary>
/// Closing <c>audit.log</c> when it is full, or when another chain begins. Both run in the one work item, between two
/// writes; everything in the file is fsynced before it gets another name.
/// </summary>
internal sealed partial class AuditLog
{
    // A file that cannot be closed goes on being written; the log only grows meanwhile.
    private const long RollRetryMs = 10_000;

    // Number of the first record of audit.log, or of the one it will have.
    private long _firstSeq;
    private long _rollRetryAtMs;
    private bool _rollFailed;

    private bool RollIsDue_NeedsLock(AuditBatch? next) =>
        next is { Begins: null } && _length >= _config.SegmentBytes && _clock.BootMs >= _rollRetryAtMs;

    /// <summary>
    /// Closes the file under the number of its first record. Where that fails the old one goes on, and the log says so.
    /// </summary>
    /// <exception cref="StorageException">What the file holds is in doubt and cannot be saved.</exception>
    private async Task RollAsync()
    {
        await SyncForClosingAsync();
        long first = Newest.FirstSeq;
        try
        {
            await ClearNameAsync(first);
            await _file.CloseAsync(AuditFormat.SegmentName(first));
        }
        catch (StorageException e)
        {
            lock (_gate)
                OnRollFailed_NeedsLock(e);
            return;
        }
        lock (_gate)
        {
            _rollFailed = false;
            NewFile_NeedsLock();
        }
        _retention.Wake();
    }

    /// <summary>
    /// Gives all files of the chain the names of one that is over, the oldest last but for <c>audit.log</c> itself:
    /// while the beginning is there, a start after a crash sees whose chain it is and goes on with this.
    /// </summary>
    private async Task SetAsideAsync(string name)
    {
        await SyncForClosingAsync();
        List<AuditSegment> closed = [.. AuditSegments.OfChain(_file).Where(s => s.ClosedFirstSeq is not null)];
        foreach (AuditSegment segment in Enumerable.Reverse(closed))
        {
            await _file.MoveAsync(segment.Name, AuditSegments.EndOf(_file, segment) is { } end
                ? AuditSegments.SetAsideName(end.Point.Head)
                : AuditSegments.LeftoverName(segment.ClosedFirstSeq!.Value));
        }

        // Nothing came after the last of them was closed: it is the one the new chain names.
        if (closed.Count == 0 || Newest.Length > 0)
            await _file.CloseAsync(name);
        _retention.Wake();
    }

    private async Task SyncForClosingAsync()
    {
        try
        {
            await _file.SyncAsync();
        }
        catch (StorageException e)
        {
            lock (_gate)
            {
                _doubt = e;
                FailSyncs_NeedsLock(e);
            }
            await MendAsync();
        }
    }

    /// <summary>An older copy, which an interrupted close left under the name needed now, is set aside.</summary>
    private async Task ClearNameAsync(long first)
    {
        string name = AuditFormat.SegmentName(first);
        if (_file.Segments().Any(s => s.Name == name) && !AuditSegments.IsCopy(_file, name))
            await _file.MoveAsync(name, AuditSegments.LeftoverName(first));
    }

    /// <summary>
    /// A crash came when a file had just been closed: it is taken back, because what stands at its end may have been
    /// written when closing had already failed, and is cut like any torn tail. It is closed again with the next record.
    /// </summary>
    private static async Task TakeBackAsync(IAuditFile file)
    {
        List<AuditSegment> chain = AuditSegments.OfChain(file);
        if (chain.Count < 2 || chain[^1].Length > 0)
            return;
        try
        {
            await file.MoveAsync(chain[^2].Name, AuditFormat.NewestSegment);
        }
        catch (StorageException)
        {
            // A disk that cannot be written at the moment. The log goes on in the empty file; the first write tells.
        }
    }

    private void NewFile_NeedsLock()
    {
        (_length, _firstSeq) = (0, _written.Seq + 1);
        AllSynced_NeedsLock();
    }

    private void OnRollFailed_NeedsLock(StorageException failure)
    {
        _rollRetryAtMs = _clock.BootMs + RollRetryMs;
        if (_rollFailed)
            return;
        _rollFailed = true;
        Append_NeedsLock(new AuditEntry(
            "segment_close_failed", null, AuditActor.System, AuditOutcome.Failed,
            new AuditDetails
            {
                { "first_seq", _firstSeq }, { "code", failure.Reason }, { "reason", failure.Message },
            }));
    }
}
