using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

internal enum BatchState
{
    /// <summary>Records join it.</summary>
    Open,

    /// <summary>In the kernel's hands: survives a kill, not a power cut.</summary>
    Written,

    /// <summary>fsynced.</summary>
    Synced,

    /// <summary>Not in the log.</summary>
    Lost,
}

/// <summary>
/// Records that reach the disk in one write, and everybody who waits for it. Owned by <see cref="AuditLog"/>, under
/// its lock, but for <see cref="Written"/>.
/// </summary>
internal sealed class AuditBatch
{
    private const int FirstCapacity = 64 * 1024;

    // Hundreds of requests wait for one write: each goes on by itself, not one after the other on the writer.
    private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource<AuditPoint>? _synced;
    private byte[] _buffer;

    public AuditBatch(byte[]? buffer, UtcTime time, long upMs)
    {
        _buffer = buffer ?? new byte[FirstCapacity];
        (Time, UpMs) = (time, upMs);
    }

    public BatchState State { get; private set; }

    /// <summary>Why it is <see cref="BatchState.Lost"/>.</summary>
    public StorageException? Failure { get; private set; }

    /// <summary>When its first record was appended.</summary>
    public UtcTime Time { get; }

    public long UpMs { get; }

    /// <summary>Bytes so far.</summary>
    public int Length { get; private set; }

    /// <summary>Records that somebody appended; the gap record is not among them.</summary>
    public int Records { get; private set; }

    /// <summary>Last record in it.</summary>
    public AuditPoint End { get; private set; } = new(0, default);

    /// <summary>How many lost records the gap record at its beginning counts.</summary>
    public long ToldLost { get; set; }

    /// <summary>The chain that begins with it, when its first record is number 1 of another one.</summary>
    public ChainStart? Begins { get; init; }

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, Length);

    public bool SyncIsWanted => _synced is not null;

    /// <summary>Completes when the records may be acted upon; fails when they may not.</summary>
    public Task Written => _written.Task;

    /// <summary>Completes with a point at or behind the batch once it is fsynced; fails when it is not.</summary>
    public Task<AuditPoint> WaitSynced()
    {
        if (Failure is not null)
            return Task.FromException<AuditPoint>(Failure);
        _synced ??= new TaskCompletionSource<AuditPoint>(TaskCreationOptions.RunContinuationsAsynchronously);
        return _synced.Task;
    }

    /// <summary>Room for one more line of any length.</summary>
    public Span<byte> Room()
    {
        if (_buffer.Length - Length < AuditFormat.MaxLineBytes)
            Array.Resize(ref _buffer, _buffer.Length * 2);
        return _buffer.AsSpan(Length);
    }

    public void Added(int bytes, AuditPoint end, bool counts)
    {
        Length += bytes;
        Records += counts ? 1 : 0;
        End = end;
    }

    /// <summary>It was written. The buffer is free for the next one.</summary>
    public byte[] OnWritten()
    {
        State = BatchState.Written;
        byte[] buffer = _buffer;
        _buffer = [];
        return buffer;
    }

    /// <summary>Lets those who wait for the write go on. Not under the lock.</summary>
    public void CompleteWritten() => _written.TrySetResult();

    /// <summary>It is on stable storage, and so is everything up to <paramref name="point"/>.</summary>
    public void OnSynced(AuditPoint point)
    {
        State = BatchState.Synced;
        _synced?.TrySetResult(point);
    }

    /// <summary>An fsync failed, the batch may yet be saved: who waits for it now hears the failure.</summary>
    public void OnSyncFailed(StorageException failure)
    {
        Fail(_synced, failure);
        _synced = null;
    }

    /// <param name="accepted">Whether validations in it are answered all the same.</param>
    public void OnLost(StorageException failure, bool accepted)
    {
        (State, Failure, _buffer) = (BatchState.Lost, failure, []);
        OnSyncFailed(failure);
        if (accepted)
            _written.TrySetResult();
        else if (_written.TrySetException(failure))
            _ = _written.Task.Exception;
    }

    private static void Fail(TaskCompletionSource<AuditPoint>? waiting, StorageException failure)
    {
        // Read once, so that a failure nobody waits for is not reported as unobserved; the log's state tells of it.
        if (waiting?.TrySetException(failure) == true)
            _ = waiting.Task.Exception;
    }
}
