using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// The state directory on a real file system. All calls run on the thread <c>storage</c>. A file whose fsync failed is
/// given up and never trusted: the kernel may have dropped its pages and reports the error once; the next try writes
/// a new file.
/// </summary>
internal sealed class StateFiles : IStateFiles, IDisposable
{
    public const string SecretsDirectory = "secrets";

    private const int MaxBytes = 16 * 1024 * 1024;
    private const int OwnerOnly = 0x180; // 0600
    private const int DirectoryOwnerOnly = 0x1C0; // 0700

    // 0711: node_exporter reaches metrics.prom by its name and can list nothing.
    private const int DirectoryPassable = 0x1C9;

    private readonly DurableThread _thread = new("storage");
    private readonly OpenDirectory _root;
    private readonly OpenDirectory _secrets;

    /// <exception cref="StorageException">The directory cannot be made or is not safe.</exception>
    public StateFiles(string directory)
    {
        _root = OpenDirectory.OpenOrMake(null, directory.TrimEnd('/'), DirectoryPassable);
        _secrets = OpenDirectory.OpenOrMake(_root, SecretsDirectory, DirectoryOwnerOnly);
    }

    public Task<byte[]?> ReadAsync(string name, CancellationToken cancel)
    {
        var (at, file) = Resolve(name);
        return _thread.RunAsync(() => Read(at, file), cancel);
    }

    public Task WriteAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel)
    {
        var (at, file) = Resolve(name);
        return _thread.RunAsync(() => Write(at, file, content.Span), cancel);
    }

    public Task ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel)
    {
        var (at, file) = Resolve(name);
        return _thread.RunAsync(() => Replace(at, file, content.Span), cancel);
    }

    public Task RenameAsync(string from, string to, CancellationToken cancel)
    {
        var (at, source) = Resolve(from);
        var (targetAt, target) = Resolve(to);
        InvariantBroken.Unless(at == targetAt, $"{from} and {to} are in different directories.");
        return _thread.RunAsync(() => Rename(at, source, target), cancel);
    }

    public Task EraseAsync(string name, CancellationToken cancel)
    {
        var (at, file) = Resolve(name);
        return _thread.RunAsync(() => Erase(at, file), cancel);
    }

    public void Dispose()
    {
        _thread.Dispose();
        _secrets.Dispose();
        _root.Dispose();
    }

    private (OpenDirectory At, string File) Resolve(string name)
    {
        bool below = name.StartsWith(SecretsDirectory + "/", StringComparison.Ordinal);
        string file = below ? name[(SecretsDirectory.Length + 1)..] : name;
        bool plain = file.Length is > 0 and <= 200 && file[0] != '.'
            && file.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
        InvariantBroken.Unless(plain, $"\"{name}\" is no name of a state file.");
        return (below ? _secrets : _root, file);
    }

    private static byte[]? Read(OpenDirectory at, string name)
    {
        using var file = Posix.OpenUnless(at, name, Posix.ReadOnly | Posix.NoFollow, 0, Posix.NoEntry);
        if (file is null)
            return null;
        string path = at.PathOf(name);
        long length = Posix.Length(file, path);
        if (length > MaxBytes)
            throw new StorageException("too_large", $"{path} has {length} bytes, at most {MaxBytes} are read.");
        byte[] content = new byte[length];
        int count = 0;
        while (count < content.Length && Posix.Read(file, content.AsSpan(count), path) is > 0 and var more)
            count += more;
        return count == length
            ? content
            : throw new StorageException("storage_failed", $"{path} became shorter while it was read.");
    }

    // A name that is there already is replaced as a whole: cutting it to nothing first would lose it at a power cut.
    private static bool Write(OpenDirectory at, string name, ReadOnlySpan<byte> content)
    {
        using var file = Posix.OpenUnless(
            at, name, Posix.WriteOnly | Posix.Create | Posix.Exclusive | Posix.NoFollow, OwnerOnly, Posix.Exists);
        if (file is null)
            return Replace(at, name, content);
        Fill(at, name, file, content);
        at.Sync();
        return true;
    }

    private static bool Replace(OpenDirectory at, string name, ReadOnlySpan<byte> content)
    {
        string temporary = name + ".tmp";
        // What a crash left is another inode than the one written now, so its fate cannot matter.
        Posix.Unlink(at, temporary);
        using (var file = Posix.Open(
            at, temporary, Posix.WriteOnly | Posix.Create | Posix.Exclusive | Posix.NoFollow, OwnerOnly))
        {
            Fill(at, temporary, file, content);
        }

        Posix.Rename(at, temporary, name);
        at.Sync();
        return true;
    }

    private static void Fill(OpenDirectory at, string name, SafeFileHandle file, ReadOnlySpan<byte> content)
    {
        try
        {
            Posix.WriteAll(file, content, at.PathOf(name));
            Posix.Sync(file, at.PathOf(name));
        }
        catch (StorageException)
        {
            // Half a file under a final name would be read at the next start.
            Posix.Unlink(at, name);
            throw;
        }
    }

    private static bool Rename(OpenDirectory at, string from, string to)
    {
        Posix.Rename(at, from, to);
        at.Sync();
        return true;
    }

    private static bool Erase(OpenDirectory at, string name)
    {
        StorageException? failed = null;
        using (var file = Posix.OpenUnless(at, name, Posix.WriteOnly | Posix.NoFollow, 0, Posix.NoEntry))
        {
            if (file is not null)
                failed = Overwrite(file, at.PathOf(name));
        }

        // Also for a file that is gone already: the unlink of an earlier try may not have reached the disk.
        Posix.Unlink(at, name);
        at.Sync();
        return failed is null ? true : throw failed;
    }

    // A medium that cannot be overwritten must not keep the name of the file alive as well, so the error waits.
    private static StorageException? Overwrite(SafeFileHandle file, string path)
    {
        try
        {
            byte[] zeros = new byte[Posix.Length(file, path)];
            Posix.WriteAll(file, zeros, path);
            Posix.Sync(file, path);
            return null;
        }
        catch (StorageException error)
        {
            return error;
        }
    }
}
