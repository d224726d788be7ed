using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>
/// Deletes the oldest files once all that is in them is older than <c>audit.retention</c>, or all together larger than
/// <c>audit.max_bytes</c>. The record that says so is fsynced first, so a crash in between leaves a file that may go,
/// never a log without its beginning. What the replay guard would read at a start is kept whatever its size.
/// <para>
/// Looks after every close, and once an hour while there are closed files; one look at a time. Its own lock, never held
/// over a call.
/// </para>
/// </summary>
internal sealed class AuditRetention : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromHours(1);

    // A look removes no more than this; the next hour goes on. It is 4 GiB of ordinary segments.
    private const int FilesAtOnceMax = 64;
    private const long RecentMs = ReplayGuard.WindowMs + 60_000;

    private readonly Lock _gate = new();
    private readonly AuditLogPorts _ports;
    private volatile AuditConfig _config;
    private readonly AuditLog _log;
    private readonly ITimer _timer;
    private bool _looking;
    private bool _lookAgain;
    private bool _failed;
    private bool _disposed;

    public AuditRetention(AuditLogPorts ports, AuditConfig config, AuditLog log)
    {
        (_ports, _config, _log) = (ports, config, log);
        _timer = ports.Time.CreateTimer(_ => Wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Nothing is being looked at or deleted.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_gate)
                return !_looking;
        }
    }

    /// <summary>The first look, where there is anything but <c>audit.log</c>.</summary>
    public void Start()
    {
        if (_ports.File.Segments().Count > 1)
            Wake();
    }

    /// <summary>Other limits; what is too much by them goes soon.</summary>
    public void Use(AuditConfig config)
    {
        _config = config;
        Start();
    }

    /// <summary>Looks soon; any thread.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            _lookAgain = true;
            if (_looking || _disposed)
                return;
            _looking = true;
        }
        _ports.Work.Queue(() => _ = LookAsync());
    }

    public void Dispose()
    {
        lock (_gate)
            _disposed = true;
        _timer.Dispose();
    }

    /// <summary>Ends its own failures.</summary>
    private async Task LookAsync()
    {
        try
        {
            while (LooksAgain())
            {
                for (int files = 0; files < FilesAtOnceMax && Due() is { } due; files++)
                    await RetireAsync(due);
                _failed = false;
            }
        }
        catch (StorageException e)
        {
            OnFailed(e);
        }
        catch (Exception e)
        {
            // The root of this task: a bug, which the log tells at its next use.
            _log.Stop(e);
        }
    }

    private bool LooksAgain()
    {
        lock (_gate)
        {
            (_looking, _lookAgain) = (_lookAgain && !_disposed, false);
            if (!_looking && !_disposed)
                _timer.Change(Every, Timeout.InfiniteTimeSpan);
            return _looking;
        }
    }

    /// <summary>The next hour tries again; that it failed is said once.</summary>
    private void OnFailed(StorageException failure)
    {
        if (!_failed)
        {
            _failed = true;
            _log.Append(new AuditEntry(
                "segment_retirement_failed", null, AuditActor.System, AuditOutcome.Failed,
                new AuditDetails { { "code", failure.Reason }, { "reason", failure.Message } }));
        }
        lock (_gate)
        {
            (_looking, _lookAgain) = (false, false);
            if (!_disposed)
                _timer.Change(Every, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The next file to go; chains that are over come first.</summary>
    private DueFile? Due()
    {
        List<AuditSegment> chain = AuditSegments.OfChain(_ports.File);
        List<AuditSegment> setAside = [.. AuditSegments.SetAside(_ports.File)];
        bool large = chain.Concat(setAside).Sum(s => s.Length) > _config.MaxBytes;
        foreach (AuditSegment file in setAside)
        {
            SegmentEnd? end = AuditSegments.EndOf(_ports.File, file);
            if (MayGo(file, end, large))
                return new DueFile(file.Name, Retired(file.Name, end?.Point));
        }
        if (chain.Count < 2 || !MayGo(chain[0], AuditSegments.EndOf(_ports.File, chain[0]), large))
            return null;
        return new DueFile(chain[0].Name, Retired(chain[0], chain[1]));
    }

    private bool MayGo(AuditSegment file, SegmentEnd? end, bool large)
    {
        long upMs = _ports.Clock.BootMs;
        if (end is null)
            return large;
        bool recent = end.Boot == _ports.Clock.BootId ? upMs - end.UpMs < RecentMs : upMs < RecentMs;
        return !recent && (large
            || !AuditSegments.HasRecordSince(_ports.File, file, _ports.TrustedNow(upMs) - _config.Retention));
    }

    /// <summary>
    /// What verification accepts a later beginning by. The end is what the next file follows, which is what has to fit.
    /// </summary>
    private AuditEntry Retired(AuditSegment segment, AuditSegment next)
    {
        long first = segment.ClosedFirstSeq!.Value;
        AuditPoint end = AuditSegments.Before(_ports.File, next)
            ?? AuditSegments.EndOf(_ports.File, segment)?.Point
            ?? throw new StorageException("audit_unreadable", $"Neither {segment.Name} nor {next.Name} has a record.");
        return new AuditEntry(
            "segment_retired", $"segment-{first}", AuditActor.Agent, AuditOutcome.Ok,
            new AuditDetails
            {
                { "first_seq", first },
                { "last_seq", end.Seq },
                { "head", end.Head },
                { "checkpoint", AuditSegments.LastCheckpoint(_ports.File, segment) },
            });
    }

    private static AuditEntry Retired(string file, AuditPoint? end) => new(
        "chain_retired", file, AuditActor.Agent, AuditOutcome.Ok,
        new AuditDetails { { "file", file }, { "last_seq", end?.Seq }, { "head", end?.Head.ToString() } });

    private async Task RetireAsync(DueFile due)
    {
        await _log.SyncAsync(_log.Append(due.Record));
        await _ports.File.MoveAsync(due.Name, null);
    }

    private sealed record DueFile(string Name, AuditEntry Record);
}
