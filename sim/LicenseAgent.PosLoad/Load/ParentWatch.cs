using System.Runtime.InteropServices;

namespace LicenseAgent.PosLoad.Load;

/// <summary>
/// Ends a worker whose parent is gone. The kernel's death signal is forgotten when a process changes its user, so a
/// worker under another one looks for itself.
/// </summary>
internal sealed partial class ParentWatch : IDisposable
{
    private readonly Timer _look;

    public ParentWatch(CancellationTokenSource stop)
    {
        int parent = getppid();
        _look = new Timer(
            _ =>
            {
                if (getppid() != parent)
                {
                    stop.Cancel();
                }
            },
            null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    public void Dispose() => _look.Dispose();

    [LibraryImport("libc")]
    private static partial int getppid();
}
