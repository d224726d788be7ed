namespace LicenseAgent.Daemon.Ports;

/// <summary>
/// The files of the state directory. Names are relative (<c>state.json</c>, <c>secrets/v7.jws</c>). Every call that
/// returns has reached stable storage, the directory entry included; a failure is a <see cref="StorageException"/>.
/// All calls run on one thread, in order.
/// </summary>
internal interface IStateFiles
{
    /// <summary>The whole file, or <see langword="null"/> when it is not there. At most 16 MiB.</summary>
    Task<byte[]?> ReadAsync(string name, CancellationToken cancel);

    /// <summary>Writes a file that may not exist yet under this name: content fsynced, then the directory.</summary>
    Task WriteAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel);

    /// <summary>Temp file, fsync, rename over <paramref name="name"/>, fsync of the directory.</summary>
    Task ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel);

    /// <summary>Renames and fsyncs the directory.</summary>
    Task RenameAsync(string from, string to, CancellationToken cancel);

    /// <summary>Overwrites, unlinks, fsyncs the directory. A missing file is fine.</summary>
    Task EraseAsync(string name, CancellationToken cancel);
}
