using LicenseAgent.Daemon.Ports;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// A directory held open: names are resolved below it whatever happens to its path meanwhile, and its entries can be
/// made durable.
/// </summary>
internal sealed class OpenDirectory : IDisposable
{
    private const UnixFileMode WritableByOthers = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    private readonly string _path;

    private OpenDirectory(SafeFileHandle handle, string path)
    {
        Handle = handle;
        _path = path;
    }

    public SafeFileHandle Handle { get; }

    /// <summary>Opens a directory, making it with <paramref name="mode"/> where it is missing.</summary>
    /// <exception cref="StorageException">Unreachable, or somebody else could put files of their own into
    /// it.</exception>
    public static OpenDirectory OpenOrMake(OpenDirectory? parent, string name, int mode)
    {
        bool made = Posix.MakeDirectory(parent, name, mode);
        // The state directory itself may be a link, as systemd makes one under DynamicUser; nothing below it may be.
        int follow = parent is null ? 0 : Posix.NoFollow;
        var handle = Posix.Open(parent, name, Posix.ReadOnly | Posix.DirectoryOnly | follow);
        string path = parent is null ? name : parent.PathOf(name);
        if ((File.GetUnixFileMode(handle) & WritableByOthers) != 0)
        {
            handle.Dispose();
            throw new StorageException(
                "unsafe_directory", $"{path} can be written by group or others; run chmod go-w {path}.");
        }

        if (made && parent is not null)
            parent.Sync();
        return new OpenDirectory(handle, path);
    }

    public string PathOf(string name) => $"{_path}/{name}";

    public void Sync() => Posix.Sync(Handle, _path);

    public void Dispose() => Handle.Dispose();
}
