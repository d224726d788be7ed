using System.Collections.Concurrent;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// One named thread for durable calls of one kind: they run in the order they were given, a slow disk blocks nobody
/// else, and a fault injected into the k-th call of a kind hits the k-th. What waits is bounded; beyond that a call is
/// refused, because a disk that is so far behind will not catch up by being given more.
/// </summary>
internal sealed class DurableThread : IDisposable
{
    // The loop waits for each of its calls, so more than a handful means that the disk hangs.
    private const int MaxWaiting = 64;

    private readonly BlockingCollection<Action> _waiting = new(MaxWaiting);
    private readonly Thread _thread;

    public DurableThread(string name)
    {
        _thread = new Thread(Run) { Name = name, IsBackground = true };
        _thread.Start();
    }

    /// <summary>
    /// Runs <paramref name="call"/> in its turn. Cancelling takes it out of the queue; one that runs is never
    /// interrupted, since nobody could say afterwards how far it got.
    /// </summary>
    public Task<T> RunAsync<T>(Func<T> call, CancellationToken cancel)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_waiting.TryAdd(() => Complete(done, call, cancel), 0, CancellationToken.None))
        {
            return Task.FromException<T>(new StorageException(
                "storage_queue_full", $"{MaxWaiting} durable calls wait on thread {_thread.Name}; the disk hangs."));
        }

        return done.Task;
    }

    /// <summary>Lets what waits finish, then ends the thread.</summary>
    public void Dispose()
    {
        _waiting.CompleteAdding();
        _thread.Join();
        _waiting.Dispose();
    }

    // Whatever a call throws belongs to who awaits it; the thread itself never ends by it.
    private static void Complete<T>(TaskCompletionSource<T> done, Func<T> call, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested)
        {
            done.SetCanceled(cancel);
            return;
        }

        try
        {
            done.SetResult(call());
        }
        catch (Exception error)
        {
            done.SetException(error);
        }
    }

    private void Run()
    {
        foreach (var call in _waiting.GetConsumingEnumerable())
            call();
    }
}
