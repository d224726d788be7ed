using System.Runtime.InteropServices;

namespace LicensePki;

/// <summary>
/// Writes a file that survives a power cut, with its final mode from the first moment on: a key that is
/// world-readable for a millisecond has been world-readable.
/// </summary>
public static partial class DurableFile
{
    public const UnixFileMode KeyMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public const UnixFileMode PublicMode =
        KeyMode | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>Creates <paramref name="path"/>; an existing file is refused, never overwritten.</summary>
    public static void Create(string path, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = mode,
            BufferSize = 0,
        };
        using (var file = new FileStream(path, options))
        {
            file.Write(content);
            // FileStream.Flush(true) hides a failed fsync, so the call is made here and its result read.
            Sync(file.SafeFileHandle, path);
        }

        SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Replaces <paramref name="path"/>: a crash leaves the old content or the new, never a part.</summary>
    public static void Replace(string path, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var next = path + ".new";
        File.Delete(next);
        Create(next, content, mode);
        File.Move(next, path, overwrite: true);
        SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Makes the directory's entries durable.</summary>
    public static void SyncDirectory(string directory)
    {
        using var handle = OpenDirectory(directory);
        Sync(handle, directory);
    }

    private static void Sync(SafeHandle handle, string path)
    {
        if (FSync(handle) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new IOException($"fsync of {path} failed: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    private static Microsoft.Win32.SafeHandles.SafeFileHandle OpenDirectory(string directory)
    {
        const int readOnlyDirectoryCloseOnExec = 0x10000 | 0x80000; // O_DIRECTORY | O_CLOEXEC on x86-64 Linux
        var descriptor = Open(directory, readOnlyDirectoryCloseOnExec);
        var error = Marshal.GetLastPInvokeError();
        if (descriptor < 0)
            throw new IOException($"open of directory {directory} failed: {Marshal.GetPInvokeErrorMessage(error)}");
        return new Microsoft.Win32.SafeHandles.SafeFileHandle(descriptor, ownsHandle: true);
    }

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int FSync(SafeHandle handle);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Open(string path, int flags);
}
