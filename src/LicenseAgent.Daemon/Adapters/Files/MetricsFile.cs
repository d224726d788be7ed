namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// Writes <c>metrics.prom</c> for the textfile collector: whole or not at all by rename, under a name that the
/// collector does not match meanwhile. No fsync: what a power cut takes is rewritten at the next start, and nobody
/// decides by it. One write at a time on the thread pool; texts that come meanwhile replace each other, the newest
/// wins.
/// </summary>
internal sealed class MetricsFile(string path, Action<Exception> failed)
{
    private const UnixFileMode WorldReadable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly Lock _gate = new();
    private readonly Lock _fileGate = new(); // two writers would share one temporary file
    private byte[]? _next;
    private bool _writing;

    public void Publish(byte[] text)
    {
        lock (_gate)
        {
            _next = text;
            if (_writing)
                return;
            _writing = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(file => file.WriteUntilNewest(), this, preferLocal: false);
    }

    /// <summary>Writes on this thread; for the last text before a clean stop.</summary>
    public void Write(byte[] text)
    {
        string temporary = path + ".tmp";
        lock (_fileGate)
        {
            using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 0))
            {
                // Set, not only asked for at creation: a umask would narrow it, and the collector is another user.
                File.SetUnixFileMode(file.SafeFileHandle, WorldReadable);
                file.Write(text);
            }

            File.Move(temporary, path, overwrite: true);
        }
    }

    private void WriteUntilNewest()
    {
        while (TakeNext() is { } text)
        {
            try
            {
                Write(text);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                failed(error);
            }
        }
    }

    private byte[]? TakeNext()
    {
        lock (_gate)
        {
            byte[]? text = _next;
            _next = null;
            _writing = text is not null;
            return text;
        }
    }
}
