using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World;

/// <summary>
/// The files of one node's audit log. Appends are seen at once and kept only by an fsync; a power cut leaves any
/// beginning of the rest. Pages of a failed fsync are clean to the kernel and absent from the disk.
/// </summary>
internal sealed class SimAudit(DiskTroubles troubles)
{
    private const int FirstCapacity = 16 * 1024;

    private readonly List<(string Name, byte[] Content)> _closed = [];
    private readonly List<(int From, int To)> _dropped = [];
    private byte[] _bytes = new byte[FirstCapacity];
    private int _length;
    private int _durable;

    /// <summary>Set while the log alone cannot be written, whatever the rest of the disk does.</summary>
    public bool Full { get; set; }

    public ReadOnlySpan<byte> Newest => _bytes.AsSpan(0, _length);

    /// <summary>All files, oldest first; good until something is written.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Files =>
        [.. _closed.Select(c => (ReadOnlyMemory<byte>)c.Content), _bytes.AsMemory(0, _length)];

    /// <summary>Told of every file that the agent removes: its name and what was in it.</summary>
    public Action<string, byte[]>? Removed { get; set; }

    public IReadOnlyList<(string Name, byte[] Content)> Closed => _closed;

    /// <summary>Where the log ends now.</summary>
    public LogPlace End => new(_closed.Count == 0 ? null : _closed[^1].Content, _length);

    /// <summary>Some bytes were written behind a place, in the file that was the newest then or in one after it.</summary>
    public bool HasSince(LogPlace place, ReadOnlySpan<byte> sought)
    {
        // A file is closed once in a million calls, and one that was retired was closed long before.
        int from = _closed.FindIndex(c => ReferenceEquals(c.Content, place.LastClosed)) + 1;
        int skip = place.Length;
        foreach ((string _, byte[] content) in _closed.Skip(from))
        {
            if (content.AsSpan(Math.Min(skip, content.Length)).IndexOf(sought) >= 0)
            {
                return true;
            }

            skip = 0;
        }

        return Newest[Math.Min(skip, _length)..].IndexOf(sought) >= 0;
    }

    /// <summary>Bytes of the newest file that a power cut cannot take away.</summary>
    public int DurableLength => _durable;

    public IReadOnlyList<AuditSegment> Segments()
    {
        troubles.OnRead(AuditFormat.NewestSegment);
        IEnumerable<AuditSegment> closed = _closed.Select(c => new AuditSegment(c.Name, c.Content.Length));
        return [.. closed.OrderBy(s => s.IsOfChain), new AuditSegment(AuditFormat.NewestSegment, _length)];
    }

    public int Read(string segment, long offset, Span<byte> into)
    {
        troubles.OnRead(segment);
        ReadOnlySpan<byte> content = segment == AuditFormat.NewestSegment
            ? Newest
            : _closed.First(c => c.Name == segment).Content;
        int count = (int)Math.Clamp(content.Length - offset, 0, into.Length);
        content.Slice((int)Math.Min(offset, content.Length), count).CopyTo(into);
        return count;
    }

    public void Append(ReadOnlySpan<byte> lines, SimRandom chance)
    {
        try
        {
            if (Full)
            {
                throw new StorageException("disk_full", "write of audit.log failed: No space left on device.");
            }

            troubles.OnWrite(AuditFormat.NewestSegment);
        }
        catch (StorageException)
        {
            Add(lines[..(int)chance.Below(lines.Length)]);
            throw;
        }

        Add(lines);
    }

    /// <summary>An fsync that began when the file had <paramref name="covers"/> bytes.</summary>
    public bool Sync(int covers)
    {
        covers = Math.Min(covers, _length);
        try
        {
            troubles.OnSync(AuditFormat.NewestSegment);
        }
        catch (StorageException)
        {
            _dropped.Add((_durable, covers));
            throw;
        }

        _durable = Math.Max(_durable, covers);
        return true;
    }

    public bool Cut(int length, bool rewrite)
    {
        troubles.OnWrite(AuditFormat.NewestSegment);
        troubles.OnSync(AuditFormat.NewestSegment);
        _length = length;
        if (rewrite)
        {
            _dropped.Clear();
        }

        _durable = _length;
        return true;
    }

    public bool Close(string name)
    {
        troubles.OnSync(AuditFormat.NewestSegment);
        troubles.OnEntry(name);
        (string Name, byte[] Content) same = _closed.Find(c => c.Name == name);
        if (same.Name is not null && !Newest.SequenceEqual(same.Content))
        {
            throw new StorageException("audit_name_taken", $"{name} is another file; move it away to keep it.");
        }

        if (same.Name is null)
        {
            _closed.Add((name, Newest.ToArray()));
        }

        (_bytes, _length, _durable) = (new byte[FirstCapacity], 0, 0);
        _dropped.Clear();
        return true;
    }

    /// <summary>A closed file gets another name, or is removed; under the newest's name it is written on.</summary>
    public bool Move(string name, string? to)
    {
        troubles.OnEntry(name);
        troubles.OnSync(name);
        int at = _closed.FindIndex(c => c.Name == name);
        if (at < 0)
        {
            return true;
        }

        byte[] content = _closed[at].Content;
        _closed.RemoveAll(c => c.Name == name || c.Name == to);
        if (to == AuditFormat.NewestSegment)
        {
            _length = 0;
            _dropped.Clear();
            Add(content);
            _durable = _length;
        }
        else if (to is not null)
        {
            _closed.Add((to, content));
        }
        else
        {
            Removed?.Invoke(name, content);
        }

        return true;
    }

    public void PowerCut(SimRandom chance)
    {
        _length = _durable + (int)chance.Below(_length - Math.Min(_durable, _length) + 1);
        Unmount();
    }

    /// <summary>What is in the file is on the disk, and pages of a failed fsync are not.</summary>
    public void Unmount()
    {
        foreach ((int from, int to) in _dropped)
        {
            _bytes.AsSpan(Math.Min(from, _length)..Math.Min(to, _length)).Clear();
        }

        _dropped.Clear();
        _durable = _length;
    }

    /// <summary>Somebody wrote the files while the node was off.</summary>
    public void Restore(byte[] newest, IEnumerable<(string Name, byte[] Content)> closed)
    {
        (string Name, byte[] Content)[] files = [.. closed];
        _closed.Clear();
        _closed.AddRange(files);
        _dropped.Clear();
        _length = 0;
        Add(newest);
        _durable = _length;
    }

    private void Add(ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length > _bytes.Length)
        {
            // Ten thousand of these stand side by side: a quarter at a time, not twice what is there.
            Array.Resize(ref _bytes, Math.Max(_bytes.Length + (_bytes.Length / 4), _length + bytes.Length));
        }

        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }
}

/// <summary>A place in a log: so many bytes into the file that follows the one closed last.</summary>
internal readonly record struct LogPlace(byte[]? LastClosed, int Length);
