using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World.Faults;

namespace LicenseAgent.Sim.World;

/// <summary>What ails a disk at the moment, of all the faults that are open.</summary>
internal sealed class DiskTroubles
{
    public bool Full { get; set; }

    public bool FailReads { get; set; }

    public bool FailSyncs { get; set; }

    /// <summary>A write finds the disk full.</summary>
    public Countdown FullAtWrite { get; } = new();

    /// <summary>A step that changes or syncs something fails.</summary>
    public Countdown FailAtStep { get; } = new();

    /// <summary>The file system is mounted read-only: nothing is written, renamed or removed.</summary>
    public bool IsReadOnly { get; set; }

    /// <summary>Every call takes this much longer.</summary>
    public long StallUs { get; set; }

    /// <summary>Everything but what waits for its time.</summary>
    public void Ease() => (Full, IsReadOnly, FailReads, FailSyncs, StallUs) = (false, false, false, false, 0);

    public void OnWrite(string name)
    {
        OnStep("write", name);
        if (FullAtWrite.Falls() || Full)
        {
            throw new StorageException("disk_full", $"write of {name} failed: No space left on device.");
        }
    }

    /// <summary>A name is given, changed or taken away.</summary>
    public void OnEntry(string name) => OnStep("rename", name);

    public void OnSync(string name)
    {
        OnStep("fsync", name);
        if (FailSyncs)
        {
            throw new StorageException("io_error", $"fsync of {name} failed: Input/output error.");
        }
    }

    public void OnRead(string name)
    {
        if (FailReads)
        {
            throw new StorageException("io_error", $"read of {name} failed: Input/output error.");
        }
    }

    private void OnStep(string what, string name)
    {
        if (IsReadOnly && what != "fsync")
        {
            throw new StorageException("read_only", $"{what} of {name} failed: Read-only file system.");
        }

        if (FailAtStep.Falls())
        {
            throw new StorageException("io_error", $"{what} of {name} failed: Input/output error.");
        }
    }
}

/// <summary>
/// The state directory of one node as a file system that keeps no more than it promised. Programs see what was written;
/// a power cut leaves what was fsynced, of file contents and of directory entries each: entries not synced survive as
/// any beginning of their order, contents not synced as any beginning of their bytes.
/// </summary>
internal sealed class SimDisk
{
    private readonly SortedDictionary<string, Inode> _names = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, Inode> _durable = new(StringComparer.Ordinal);
    private readonly List<(string Name, Inode? Inode)> _entriesUnsynced = [];

    public DiskTroubles Troubles { get; } = new();

    public IEnumerable<string> Names => _names.Keys;

    /// <summary>What a program reads now; <see langword="null"/>: no such file.</summary>
    public byte[]? Seen(string name) => _names.GetValueOrDefault(name)?.Content;

    /// <summary>What a power cut at this moment could not take away.</summary>
    public byte[]? Durable(string name) => _durable.GetValueOrDefault(name)?.Durable;

    public byte[]? Read(string name)
    {
        Troubles.OnRead(name);
        return _names.GetValueOrDefault(name)?.Content;
    }

    public Effect<bool> Write(string name, byte[] content)
    {
        if (_names.ContainsKey(name))
        {
            return Replace(name, content);
        }

        Inode fresh = new(content);
        return Done(
            () =>
            {
                Troubles.OnWrite(name);
                Enter(name, fresh);
            },
            () => SyncContent(name, fresh),
            () => SyncEntries(name));
    }

    public Effect<bool> Replace(string name, byte[] content)
    {
        string temporary = name + ".tmp";
        Inode fresh = new(content);
        return Done(
            () =>
            {
                Troubles.OnWrite(name);
                Enter(temporary, fresh);
            },
            () => SyncContent(temporary, fresh),
            () =>
            {
                Troubles.OnEntry(name);
                Enter(name, fresh);
                Enter(temporary, null);
            },
            () => SyncEntries(name));
    }

    public Effect<bool> Rename(string from, string to) => Done(
        () =>
        {
            Inode inode = _names.GetValueOrDefault(from)
                ?? throw new StorageException("storage_failed", $"rename of {from} failed: No such file or directory.");
            Troubles.OnEntry(to);
            Enter(to, inode);
            Enter(from, null);
        },
        () => SyncEntries(to));

    /// <summary>What cannot be overwritten is unlinked all the same, and the call has failed.</summary>
    public Effect<bool> Erase(string name)
    {
        StorageException? kept = null;
        return Done(
            () => kept = Try(() =>
            {
                if (_names.GetValueOrDefault(name) is { } inode)
                {
                    Troubles.OnWrite(name);
                    inode.Content = new byte[inode.Content.Length];
                    Troubles.OnSync(name);
                    inode.Durable = inode.Content;
                }
            }),
            () =>
            {
                Troubles.OnEntry(name);
                Enter(name, null);
            },
            () => SyncEntries(name),
            () =>
            {
                if (kept is not null)
                {
                    throw kept;
                }
            });
    }

    public void PowerCut(SimRandom chance)
    {
        int kept = (int)chance.Below(_entriesUnsynced.Count + 1);
        foreach ((string name, Inode? inode) in _entriesUnsynced.Take(kept))
        {
            Set(_durable, name, inode);
        }

        _entriesUnsynced.Clear();
        _names.Clear();
        foreach ((string name, Inode inode) in _durable)
        {
            inode.Durable ??= inode.Content[..(int)chance.Below(inode.Content.Length + 1)];
            inode.Content = inode.Durable;
            _names[name] = inode;
        }
    }

    /// <summary>The machine goes off in an orderly way: what was written is on the disk.</summary>
    public void Unmount()
    {
        _entriesUnsynced.Clear();
        _durable.Clear();
        foreach ((string name, Inode inode) in _names)
        {
            inode.Durable = inode.Content;
            _durable[name] = inode;
        }
    }

    /// <summary>A copy of every file as it is read now: a backup, or a clone of the disk.</summary>
    public IReadOnlyDictionary<string, byte[]> Snapshot() =>
        _names.ToDictionary(n => n.Key, n => n.Value.Content, StringComparer.Ordinal);

    /// <summary>The disk with these files on it and no other.</summary>
    public void Restore(IReadOnlyDictionary<string, byte[]> files)
    {
        _names.Clear();
        _durable.Clear();
        _entriesUnsynced.Clear();
        foreach ((string name, byte[] content) in files)
        {
            Put(name, content);
        }
    }

    /// <summary>Somebody else wrote, or with <see langword="null"/> deleted, a file while the node was off.</summary>
    public void Put(string name, byte[]? content)
    {
        Inode? inode = content is null ? null : new Inode(content) { Durable = content };
        Set(_names, name, inode);
        Set(_durable, name, inode);
    }

    private static Effect<bool> Done(params Action[] steps) => new(steps, () => true);

    private static StorageException? Try(Action step)
    {
        try
        {
            step();
            return null;
        }
        catch (StorageException e)
        {
            return e;
        }
    }

    private static void Set(SortedDictionary<string, Inode> names, string name, Inode? inode)
    {
        if (inode is null)
        {
            names.Remove(name);
        }
        else
        {
            names[name] = inode;
        }
    }

    private void Enter(string name, Inode? inode)
    {
        Set(_names, name, inode);
        _entriesUnsynced.Add((name, inode));
    }

    private void SyncContent(string name, Inode inode)
    {
        try
        {
            Troubles.OnSync(name);
            inode.Durable = inode.Content;
        }
        catch (StorageException)
        {
            Enter(name, null);
            throw;
        }
    }

    private void SyncEntries(string name)
    {
        Troubles.OnSync(name);
        string directory = DirectoryOf(name);
        foreach ((string entry, Inode? inode) in _entriesUnsynced)
        {
            if (DirectoryOf(entry) == directory)
            {
                Set(_durable, entry, inode);
            }
        }

        _entriesUnsynced.RemoveAll(e => DirectoryOf(e.Name) == directory);
    }

    private static string DirectoryOf(string name) => name.Contains('/', StringComparison.Ordinal) ? "secrets" : "";

    private sealed class Inode(byte[] content)
    {
        public byte[] Content { get; set; } = content;

        /// <summary>What was fsynced; <see langword="null"/>: nothing yet.</summary>
        public byte[]? Durable { get; set; }
    }
}
