using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// The audit log on a real file system: <c>audit.log</c> open for append, mode 0640, and the closed files beside it.
/// Durable calls run on the thread <c>audit</c>; appends and reads on the caller's.
/// </summary>
internal sealed class AuditFile : IAuditFile, IDisposable
{
    private const int GroupReadable = 0x1A0; // 0640
    private const int DirectoryGroupReadable = 0x1E8; // 0750
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
    private const int CopyBytes = 1024 * 1024;

    private readonly DurableThread _thread = new("audit");
    private readonly OpenDirectory _directory;
    private readonly string _name;
    private SafeFileHandle _newest;

    /// <param name="path">Of the newest segment; the others are in its directory.</param>
    /// <exception cref="StorageException">The directory is not safe, or the file cannot be opened.</exception>
    public AuditFile(string path)
    {
        _name = Path.GetFileName(path);
        _directory = OpenDirectory.OpenOrMake(null, Path.GetDirectoryName(path)!, DirectoryGroupReadable);
        _newest = OpenNewest();
    }

    private string NewestPath => _directory.PathOf(_name);

    public IReadOnlyList<AuditSegment> Segments()
    {
        try
        {
            List<AuditSegment> closed = [.. Directory.EnumerateFiles(Path.GetDirectoryName(NewestPath)!, "*-*.log")
                .Select(path => new AuditSegment(Path.GetFileName(path), new FileInfo(path).Length))];
            return
            [
                .. closed.Where(s => !s.IsOfChain),
                .. closed.Where(s => s.IsOfChain).OrderBy(s => FirstSeqOf(s.Name)),
                new AuditSegment(AuditFormat.NewestSegment, RandomAccess.GetLength(Newest())),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException("storage_failed", $"The directory of {NewestPath} cannot be read.", e);
        }
    }

    public int Read(string segment, long offset, Span<byte> into)
    {
        if (segment == AuditFormat.NewestSegment)
            return Posix.ReadAt(Newest(), into, offset, NewestPath);
        using SafeFileHandle closed = Posix.Open(_directory, segment, Posix.ReadOnly | Posix.NoFollow);
        return Posix.ReadAt(closed, into, offset, _directory.PathOf(segment));
    }

    public void Append(ReadOnlySpan<byte> lines) => Posix.WriteOnce(Newest(), lines, NewestPath);

    public Task SyncAsync() => RunAsync(() => Posix.Sync(_newest, NewestPath));

    public Task CutAsync(long length, bool rewrite) => RunAsync(() =>
    {
        if (rewrite)
            Rewrite(length);
        else
            Cut(length);
    });

    public Task CloseAsync(string name) => RunAsync(() => Close(name));

    public Task MoveAsync(string name, string? to) => RunAsync(() =>
    {
        bool takenBack = to == AuditFormat.NewestSegment;
        if (to is null)
            Posix.Unlink(_directory, name);
        else if (File.Exists(_directory.PathOf(name)))
            Posix.Rename(_directory, name, takenBack ? _name : to);
        if (takenBack)
            Volatile.Write(ref _newest, OpenNewest());
        _directory.Sync();
    });

    public void Dispose()
    {
        _thread.Dispose();
        _newest.Dispose();
        _directory.Dispose();
    }

    private static long FirstSeqOf(string name) => AuditFormat.TryReadSegmentName(name, out long first) ? first : 0;

    private Task<bool> RunAsync(Action call) => _thread.RunAsync(
        () =>
        {
            call();
            return true;
        },
        CancellationToken.None);

    private SafeFileHandle Newest() => Volatile.Read(ref _newest);

    private SafeFileHandle OpenNewest()
    {
        const int Flags = Posix.ReadWrite | Posix.AppendOnly | Posix.NoFollow;
        SafeFileHandle? there = Posix.OpenUnless(_directory, _name, Flags, 0, Posix.NoEntry);
        if (there is not null)
            return there;
        SafeFileHandle made = Make(_name);
        _directory.Sync();
        return made;
    }

    /// <summary>A new, empty file. Its mode is set, not only asked for, because the unit's umask is 0077.</summary>
    private SafeFileHandle Make(string name)
    {
        const int Flags = Posix.ReadWrite | Posix.AppendOnly | Posix.NoFollow | Posix.Create | Posix.Exclusive;
        SafeFileHandle made = Posix.Open(_directory, name, Flags, GroupReadable);
        try
        {
            File.SetUnixFileMode(made, Mode);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            made.Dispose();
            throw new StorageException("not_permitted", $"chmod of {_directory.PathOf(name)} failed.", e);
        }
        return made;
    }

    private void Cut(long length)
    {
        Posix.Truncate(_newest, length, NewestPath);
        Posix.Sync(_newest, NewestPath);
    }

    private void Rewrite(long length)
    {
        SafeFileHandle made = PutInPlace((file, path) =>
        {
            Copy(length, file, path);
            Posix.Sync(file, path);
        });

        // The old one has no name any more. It is left to its finalizer: a reader may be about to use it.
        Volatile.Write(ref _newest, made);
        _directory.Sync();
    }

    /// <summary>A new file takes the place of <c>audit.log</c> in one step: that name is never missing.</summary>
    private SafeFileHandle PutInPlace(Action<SafeFileHandle, string> prepare)
    {
        string temporary = _name + ".new";
        Posix.Unlink(_directory, temporary);
        SafeFileHandle made = Make(temporary);
        try
        {
            prepare(made, _directory.PathOf(temporary));
            Posix.Rename(_directory, temporary, _name);
            return made;
        }
        catch (StorageException)
        {
            made.Dispose();
            throw;
        }
    }

    private void Copy(long length, SafeFileHandle into, string path)
    {
        byte[] chunk = new byte[CopyBytes];
        for (long at = 0; at < length;)
        {
            int count = Posix.ReadAt(_newest, chunk.AsSpan(0, (int)Math.Min(length - at, CopyBytes)), at, NewestPath);
            if (count == 0)
                throw new StorageException("audit_short", $"{NewestPath} ended while it was copied: somebody cuts it.");
            Posix.WriteAll(into, chunk.AsSpan(0, count), path);
            at += count;
        }
    }

    /// <summary>
    /// A second name for the file, then a new file under the first. What a crash between the two left is the same
    /// file. The old one is the log until the directory is durable: it has a name either way, the new one may lose its.
    /// </summary>
    private void Close(string name)
    {
        if (!Posix.Link(_directory, _name, name) && !IsCopy(name))
        {
            throw new StorageException(
                "audit_name_taken", $"{_directory.PathOf(name)} is another file; move it away to keep it.");
        }
        SafeFileHandle made = PutInPlace((_, _) => { });
        try
        {
            _directory.Sync();
        }
        catch (StorageException)
        {
            made.Dispose();
            throw;
        }
        Volatile.Write(ref _newest, made);
    }

    private bool IsCopy(string name)
    {
        using SafeFileHandle other = Posix.Open(_directory, name, Posix.ReadOnly | Posix.NoFollow);
        (byte[] ours, byte[] theirs) = (new byte[CopyBytes], new byte[CopyBytes]);
        for (long at = 0; ;)
        {
            int count = Posix.ReadAt(_newest, ours, at, NewestPath);
            int same = Posix.ReadAt(other, theirs, at, _directory.PathOf(name));
            if (!ours.AsSpan(0, count).SequenceEqual(theirs.AsSpan(0, same)))
                return false;
            if (count == 0)
                return true;
            at += count;
        }
    }
}
