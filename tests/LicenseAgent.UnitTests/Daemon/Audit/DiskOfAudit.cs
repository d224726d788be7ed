using System.Runtime.InteropServices;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

/// <summary>
/// The audit log's files on a disk that behaves as badly as real ones may. Reads see what was written; the disk has
/// what was fsynced, and after a power cut any beginning of the rest. Pages of a failed fsync are clean to the kernel
/// and absent from the disk: a later fsync succeeds and leaves zeros where they were.
/// </summary>
internal sealed class DiskOfAudit : IAuditFile
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, ClosedFile> _closed = [];
    private readonly List<byte> _written = [];
    private readonly List<byte> _durable = [];
    private readonly List<(int From, int To)> _dropped = [];
    private long _closedCount;

    // audit.log is an empty new file to who opens it now, and this process goes on with the old one.
    private bool _renamed;

    /// <summary>Bytes that still fit; a write beyond it is cut there and fails.</summary>
    public long Free { get; set; } = long.MaxValue;

    public bool FailSyncs { get; set; }

    /// <summary>Rewriting and cutting fail as well.</summary>
    public bool FailCuts { get; set; }

    /// <summary>How far closing comes before it fails.</summary>
    public CloseFault FailCloses { get; set; }

    /// <summary>Removing and renaming of closed files fail.</summary>
    public bool FailMoves { get; set; }

    /// <summary>Reading back after a failed fsync gives zeros: the cache dropped the pages too.</summary>
    public bool ForgetOnFailedSync { get; set; }

    /// <summary>Whether it ever did.</summary>
    public bool HasForgotten { get; private set; }

    /// <summary>Pages of a failed fsync are missing on the disk and no new file has them yet.</summary>
    public bool OwesPages => _dropped.Count > 0;

    public int Appends { get; private set; }

    public int Syncs { get; private set; }

    /// <summary>Set: an fsync waits until it is completed; what was appended meanwhile it does not cover.</summary>
    public Func<Task>? BeforeSync { get; set; }

    public Action? OnAppend { get; set; }

    public byte[] Content
    {
        get
        {
            lock (_gate)
                return [.. _written];
        }
        set
        {
            lock (_gate)
            {
                _written.Clear();
                _written.AddRange(value);
                _durable.Clear();
                _durable.AddRange(value);
            }
        }
    }

    public IReadOnlyList<string> ClosedNames
    {
        get
        {
            lock (_gate)
                return [.. _closed.Values.Select(c => c.Name)];
        }
    }

    /// <summary>Every file one behind the other, at one moment: retirement may be under way beside it.</summary>
    public byte[] Everything()
    {
        lock (_gate)
            return [.. _closed.Values.SelectMany(c => Closed(c.Name)), .. Content];
    }

    public byte[] Closed(string name)
    {
        lock (_gate)
        {
            ClosedFile file = _closed.Values.SingleOrDefault(c => c.Name == name)
                ?? throw new StorageException("storage_failed", $"There is no {name}.");
            return file.IsNewest ? [.. _written] : file.Content;
        }
    }

    public IReadOnlyList<AuditSegment> Segments()
    {
        lock (_gate)
        {
            return
            [
                .. _closed.Values.Select(c => new AuditSegment(c.Name, Closed(c.Name).Length))
                    .OrderBy(s => s.ClosedFirstSeq ?? 0),
                new AuditSegment(AuditFormat.NewestSegment, _written.Count),
            ];
        }
    }

    public int Read(string segment, long offset, Span<byte> into)
    {
        lock (_gate)
        {
            ReadOnlySpan<byte> content = segment == AuditFormat.NewestSegment
                ? CollectionsMarshal.AsSpan(_written)
                : Closed(segment);
            int count = (int)Math.Clamp(content.Length - offset, 0, into.Length);
            content.Slice((int)Math.Min(offset, content.Length), count).CopyTo(into);
            return count;
        }
    }

    public void Append(ReadOnlySpan<byte> lines)
    {
        OnAppend?.Invoke();
        lock (_gate)
        {
            Appends++;
            int fits = (int)Math.Min(Free, lines.Length);
            _written.AddRange(lines[..fits]);
            Free -= fits;
            if (fits < lines.Length)
                throw new StorageException("disk_full", "write of audit.log failed: No space left on device.");
        }
    }

    public async Task SyncAsync()
    {
        int covers;
        lock (_gate)
            covers = _written.Count;
        if (BeforeSync is { } wait)
            await wait();
        lock (_gate)
        {
            Syncs++;
            if (FailSyncs)
            {
                _dropped.Add((_durable.Count, covers));
                if (ForgetOnFailedSync)
                    Zero(_written, _durable.Count, covers);
                HasForgotten |= ForgetOnFailedSync;
                throw new StorageException("io_error", "fsync of audit.log failed: Input/output error.");
            }
            MakeDurable(covers);
        }
    }

    public Task CutAsync(long length, bool rewrite)
    {
        lock (_gate)
        {
            if (FailCuts)
                return Task.FromException(new StorageException("io_error", "ftruncate of audit.log failed."));
            if (rewrite)
                PartFromSecondNames();
            _written.RemoveRange((int)length, _written.Count - (int)length);
            if (rewrite)
            {
                _durable.Clear();
                _dropped.Clear();
            }
            MakeDurable(_written.Count);
        }
        return Task.CompletedTask;
    }

    public Task CloseAsync(string name)
    {
        lock (_gate)
        {
            if (FailCuts)
                return Task.FromException(new StorageException("io_error", "rename of audit.log failed."));
            if (_closed.Values.Any(c => c.Name == name) && !Closed(name).AsSpan().SequenceEqual(_written.ToArray()))
                return Task.FromException(new StorageException("audit_name_taken", $"{name} is another file."));
            if (_closed.Values.All(c => c.Name != name))
                _closed.Add(++_closedCount, new ClosedFile(name, [], IsNewest: true));
            if (FailCloses != CloseFault.None)
            {
                _renamed |= FailCloses == CloseFault.DirectoryNotDurable;
                return Task.FromException(new StorageException("io_error", "Closing audit.log failed."));
            }
            PartFromSecondNames();
            _written.Clear();
            _durable.Clear();
        }
        return Task.CompletedTask;
    }

    public Task MoveAsync(string name, string? to)
    {
        lock (_gate)
        {
            if (FailMoves)
                return Task.FromException(new StorageException("io_error", $"rename of {name} failed."));
            long key = _closed.SingleOrDefault(c => c.Value.Name == name).Key;
            if (key == 0)
                return Task.CompletedTask;
            foreach (long taken in _closed.Where(c => c.Value.Name == to).Select(c => c.Key).ToList())
                _closed.Remove(taken);
            if (to == AuditFormat.NewestSegment)
                Content = Closed(name);
            if (to is null or AuditFormat.NewestSegment)
                _closed.Remove(key);
            else
                _closed[key] = _closed[key] with { Name = to };
        }
        return Task.CompletedTask;
    }

    /// <summary>What a process finds that starts after this one was killed.</summary>
    public DiskOfAudit AfterKill()
    {
        lock (_gate)
            return Copy(Content, _renamed, secondNameLost: false);
    }

    /// <summary>What a process finds after a power cut.</summary>
    public DiskOfAudit AfterPowerCut(Random random)
    {
        lock (_gate)
        {
            byte[] cut = [.. _durable, .. _written.Skip(_durable.Count)
                .Take(random.Next(_written.Count - Math.Min(_durable.Count, _written.Count) + 1))];
            foreach ((int from, int to) in _dropped)
                cut.AsSpan(Math.Min(from, cut.Length)..Math.Min(to, cut.Length)).Clear();
            bool renamed = _renamed && random.Next(2) == 0;
            return Copy(cut, renamed, secondNameLost: !renamed && random.Next(2) == 0);
        }
    }

    private DiskOfAudit Copy(byte[] newest, bool renamed, bool secondNameLost)
    {
        var copy = new DiskOfAudit { Content = renamed ? [] : newest, _closedCount = _closedCount };
        foreach ((long key, ClosedFile closed) in _closed)
        {
            if (!closed.IsNewest)
                copy._closed.Add(key, closed);
            else if (!secondNameLost)
                copy._closed.Add(key, closed with { Content = renamed ? newest : [], IsNewest = !renamed });
        }
        return copy;
    }

    /// <summary>The file gets its content for ever where it has another name than <c>audit.log</c>.</summary>
    private void PartFromSecondNames()
    {
        foreach ((long key, ClosedFile closed) in _closed.Where(c => c.Value.IsNewest).ToList())
            _closed[key] = closed with { Content = [.. _written], IsNewest = false };
        _renamed = false;
    }

    private void MakeDurable(int length)
    {
        length = Math.Min(length, _written.Count);
        if (_durable.Count > length)
            _durable.RemoveRange(length, _durable.Count - length);
        _durable.AddRange(_written.Skip(_durable.Count).Take(length - _durable.Count));
        foreach ((int from, int to) in _dropped)
            Zero(_durable, from, Math.Min(to, _durable.Count));
    }

    private static void Zero(List<byte> bytes, int from, int to)
    {
        for (int i = from; i < to; i++)
            bytes[i] = 0;
    }

    private sealed record ClosedFile(string Name, byte[] Content, bool IsNewest);
}

/// <summary>Where closing a file fails.</summary>
internal enum CloseFault
{
    None,

    /// <summary>It has both names.</summary>
    BetweenNames,

    /// <summary>The new file is there, and a power cut may take it back.</summary>
    DirectoryNotDurable,
}
