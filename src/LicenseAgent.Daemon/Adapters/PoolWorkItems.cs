using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>
/// The thread pool's shared queue: work given by a request's thread waits behind other requests, and those join the
/// batch meanwhile.
/// </summary>
internal sealed class PoolWorkItems : IWorkItems
{
    public void Queue(Action work) =>
        ThreadPool.UnsafeQueueUserWorkItem(static action => action(), work, preferLocal: false);
}
