using System.Runtime.InteropServices;
using LicenseAgent.Daemon.Ports;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// File system calls whose failure must be seen: .NET's own flush reports success when fsync fails, and it cannot fsync
/// a directory. Every call checks its result and reads errno in the very next statement; EINTR is repeated; everything
/// else becomes a <see cref="StorageException"/> that names call, path and remedy. Constants are Linux on x86-64.
/// </summary>
internal static partial class Posix
{
    public const int ReadOnly = 0, WriteOnly = 1, ReadWrite = 2;
    public const int Create = 0x40, Exclusive = 0x80, NoFollow = 0x20000, DirectoryOnly = 0x10000;
    public const int NoEntry = 2, Exists = 17, WouldBlock = 11;

    private const int CloseOnExec = 0x80000;
    private const int Interrupted = 4;
    private const int CurrentDirectory = -100; // AT_FDCWD
    private const int LockExclusiveNow = 2 | 4; // LOCK_EX | LOCK_NB
    private const int SeekEnd = 2, SeekStart = 0;

    /// <param name="at">Where <paramref name="name"/> is; <see langword="null"/> for a whole path.</param>
    /// <param name="mode">Of a file made now; the umask can only narrow it.</param>
    /// <returns>The file, or <see langword="null"/> where errno is <paramref name="expected"/>.</returns>
    public static SafeFileHandle? OpenUnless(OpenDirectory? at, string name, int flags, int mode, int expected)
    {
        while (true)
        {
            int descriptor = openat(DescriptorOf(at), name, flags | CloseOnExec, (uint)mode);
            int error = Marshal.GetLastPInvokeError();
            GC.KeepAlive(at);
            if (descriptor >= 0)
                return new SafeFileHandle(descriptor, ownsHandle: true);
            if (error == expected)
                return null;
            if (error != Interrupted)
                throw Failed("open", PathOf(at, name), error);
        }
    }

    public static SafeFileHandle Open(OpenDirectory? at, string name, int flags, int mode = 0) =>
        OpenUnless(at, name, flags, mode, expected: 0)!;

    public static void WriteAll(SafeFileHandle file, ReadOnlySpan<byte> content, string path)
    {
        while (!content.IsEmpty)
        {
            nint written = write(file, content, (nuint)content.Length);
            int error = Marshal.GetLastPInvokeError();
            if (written > 0)
                content = content[(int)written..];
            else if (written == 0 || error != Interrupted)
                throw Failed("write", path, written == 0 ? 0 : error);
        }
    }

    /// <returns>Bytes read; 0 at the end of the file.</returns>
    public static int Read(SafeFileHandle file, Span<byte> into, string path)
    {
        while (true)
        {
            nint count = read(file, into, (nuint)into.Length);
            int error = Marshal.GetLastPInvokeError();
            if (count >= 0)
                return (int)count;
            if (error != Interrupted)
                throw Failed("read", path, error);
        }
    }

    // A call that was interrupted has not failed; one that failed has dropped the dirty pages and must not be repeated.
    public static void Sync(SafeFileHandle file, string path)
    {
        while (true)
        {
            int result = fsync(file);
            int error = Marshal.GetLastPInvokeError();
            if (result == 0)
                return;
            if (error != Interrupted)
                throw Failed("fsync", path, error);
        }
    }

    /// <summary>Length of a file; leaves the position at its start.</summary>
    public static long Length(SafeFileHandle file, string path)
    {
        long length = lseek(file, 0, SeekEnd);
        int error = Marshal.GetLastPInvokeError();
        if (length < 0)
            throw Failed("lseek", path, error);
        long start = lseek(file, 0, SeekStart);
        error = Marshal.GetLastPInvokeError();
        return start == 0 ? length : throw Failed("lseek", path, error);
    }

    public static void Rename(OpenDirectory at, string from, string to)
    {
        int result = renameat(at.Handle, from, at.Handle, to);
        int error = Marshal.GetLastPInvokeError();
        if (result != 0)
            throw Failed("rename", PathOf(at, from), error);
    }

    /// <returns>Whether the file was there.</returns>
    public static bool Unlink(OpenDirectory at, string name)
    {
        int result = unlinkat(at.Handle, name, 0);
        int error = Marshal.GetLastPInvokeError();
        if (result == 0)
            return true;
        return error == NoEntry ? false : throw Failed("unlink", PathOf(at, name), error);
    }

    /// <returns>Whether it was made now; <see langword="false"/> where something of that name is there.</returns>
    public static bool MakeDirectory(OpenDirectory? at, string name, int mode)
    {
        int result = mkdirat(DescriptorOf(at), name, (uint)mode);
        int error = Marshal.GetLastPInvokeError();
        GC.KeepAlive(at);
        if (result == 0)
            return true;
        return error == Exists ? false : throw Failed("mkdir", PathOf(at, name), error);
    }

    /// <returns><see langword="false"/> where another open file holds the lock.</returns>
    public static bool TryLock(SafeFileHandle file, string path)
    {
        while (true)
        {
            int result = flock(file, LockExclusiveNow);
            int error = Marshal.GetLastPInvokeError();
            if (result == 0)
                return true;
            if (error == WouldBlock)
                return false;
            if (error != Interrupted)
                throw Failed("flock", path, error);
        }
    }

    public static StorageException Failed(string call, string path, int error)
    {
        string fact = error == 0 ? "nothing was written" : Marshal.GetPInvokeErrorMessage(error);
        var (reason, remedy) = error switch
        {
            28 or 122 => ("disk_full", "; free space on that file system"), // ENOSPC, EDQUOT
            30 => ("read_only", "; remount the file system writable"), // EROFS
            1 or 13 => ("not_permitted", "; the agent's user must own the directory and its files"), // EPERM, EACCES
            5 => ("io_error", "; the disk is failing, replace it"), // EIO
            // ENOTDIR, ELOOP
            20 or 40 => ("unsafe_path", "; a link or file stands where a directory belongs, remove it"),
            _ => ("storage_failed", ""),
        };
        return new StorageException(reason, $"{call} of {path} failed: {fact}{remedy}.");
    }

    private static int DescriptorOf(OpenDirectory? at) =>
        at is null ? CurrentDirectory : (int)at.Handle.DangerousGetHandle();

    private static string PathOf(OpenDirectory? at, string name) => at is null ? name : at.PathOf(name);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int openat(int directory, string path, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle file, ReadOnlySpan<byte> content, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle file, Span<byte> into, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial long lseek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int renameat(SafeFileHandle fromAt, string from, SafeFileHandle toAt, string to);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlinkat(SafeFileHandle directory, string path, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkdirat(int directory, string path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle file, int operation);
}
