using LicenseAgent.Daemon.Ports;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Daemon.Adapters;

// temp until the real one lands
internal sealed class AuditFile : IAuditFile, IDisposable
{
    private readonly string _path;
    private SafeFileHandle _file;
    public AuditFile(string path)
    {
        _path = path;
        _file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
    }
    public IReadOnlyList<AuditSegment> Segments() => [new AuditSegment("audit.log", RandomAccess.GetLength(_file))];
    public int Read(string segment, long offset, Span<byte> into) => RandomAccess.Read(_file, into, offset);
    public void Append(ReadOnlySpan<byte> lines) => RandomAccess.Write(_file, lines, RandomAccess.GetLength(_file));
    public Task SyncAsync() { RandomAccess.FlushToDisk(_file); return Task.CompletedTask; }
    public Task CutAsync(long length, bool rewrite) { RandomAccess.SetLength(_file, length); return Task.CompletedTask; }
    public Task CloseAsync(string name)
    {
        _file.Dispose();
        File.Move(_path, Path.Combine(Path.GetDirectoryName(_path)!, name));
        _file = File.OpenHandle(_path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        return Task.CompletedTask;
    }
    public void Dispose() => _file.Dispose();
}
