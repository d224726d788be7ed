using LicenseAgent.Daemon.Ports;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// One agent per state directory: an flock on its file <c>lock</c>, which the kernel releases with the process, however
/// that ends. The file stays; removing it would let two agents lock two files of one name.
/// </summary>
internal sealed class InstanceLock : IDisposable
{
    public const int ExitAnotherInstance = 75; // EX_TEMPFAIL of sysexits.h

    private const int OwnerOnly = 0x180; // 0600

    private readonly SafeFileHandle _file;

    private InstanceLock(SafeFileHandle file) => _file = file;

    /// <returns><see langword="null"/> where another instance holds the state.</returns>
    /// <exception cref="StorageException">The directory or its lock file cannot be opened.</exception>
    public static InstanceLock? TryTake(string stateDirectory)
    {
        string directory = stateDirectory.TrimEnd('/');
        using var at = OpenDirectory.OpenOrMake(null, directory, 0x1C9);
        var file = Posix.Open(at, "lock", Posix.ReadWrite | Posix.Create | Posix.NoFollow, OwnerOnly);
        if (Posix.TryLock(file, at.PathOf("lock")))
            return new InstanceLock(file);
        file.Dispose();
        return null;
    }

    public void Dispose() => _file.Dispose();
}
