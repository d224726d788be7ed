using System.Runtime.InteropServices;
using System.Text;
using LicenseAgent.Protocol.Tokens;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Client;

/// <summary>
/// A token in a file of its own, as one line of text. Replacing writes a temporary file beside it, makes that durable
/// and renames it, so that a power cut leaves the old token or the new one. For one process at a time.
/// </summary>
public sealed partial class FileLicenseTokenStore : ILicenseTokenStore
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int OpenReadOnly = 0, OpenCloseOnExec = 0x80000;

    // Two validations may bring a renewed token at the same time. The file is small and local: no call waits long.
    private readonly Lock one = new();
    private readonly string path;

    /// <summary>Names the file; it need not exist yet, its directory must.</summary>
    public FileLicenseTokenStore(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        this.path = Path.GetFullPath(path);
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">The file cannot be read, or is too large for a token.</exception>
    public ValueTask<string?> ReadAsync(CancellationToken cancel) => new(Read());

    /// <inheritdoc/>
    public ValueTask ReplaceAsync(string presented, string renewed, CancellationToken cancel)
    {
        lock (one)
        {
            if (Read() == presented)
                Replace(renewed);
        }
        return default;
    }

    private string? Read()
    {
        byte[] buffer = new byte[LicenseToken.MaxBytes + 2];
        try
        {
            using SafeFileHandle file = File.OpenHandle(path);
            int length = RandomAccess.Read(file, buffer, 0);
            if (length == buffer.Length)
                throw new IOException($"{path} is larger than a license token.");
            string text = Encoding.ASCII.GetString(buffer, 0, length).Trim();
            return text.Length == 0 ? null : text;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private void Replace(string token)
    {
        try
        {
            ReplaceDurably(token, path + ".new");
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{path} cannot be replaced: {e.Message}", e);
        }
    }

    private void ReplaceDurably(string token, string temporary)
    {
        File.Delete(temporary);
        using (var stream = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            BufferSize = 0,
            UnixCreateMode = OwnerOnly,
        }))
        {
            // Who could read the old file can read the new one.
            if (File.Exists(path))
                File.SetUnixFileMode(stream.SafeFileHandle, File.GetUnixFileMode(path));
            stream.Write(Encoding.ASCII.GetBytes(token + "\n"));
            Sync(stream.SafeFileHandle, temporary);
        }
        File.Move(temporary, path, overwrite: true);
        SyncDirectory(Path.GetDirectoryName(path)!);
    }

    private static void SyncDirectory(string directory)
    {
        int descriptor = Open(directory, OpenReadOnly | OpenCloseOnExec);
        int error = Marshal.GetLastPInvokeError();
        if (descriptor < 0)
            throw new IOException($"{directory} cannot be opened (errno {error}).");
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        Sync(handle, directory);
    }

    /// <summary>By libc, since the runtime's own flush to disk hides its errors on Linux.</summary>
    private static void Sync(SafeFileHandle handle, string name)
    {
        int result = FSync(handle);
        int error = Marshal.GetLastPInvokeError();
        if (result != 0)
            throw new IOException($"{name} could not be made durable (errno {error}).");
    }

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(SafeFileHandle handle);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
