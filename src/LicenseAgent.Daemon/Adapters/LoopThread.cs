using System.Collections.Concurrent;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>
/// The one thread that the agent's loop, its activities and the state they share run on: a synchronization context
/// whose posts are carried out in order. The simulator gives its own instead.
/// </summary>
internal sealed class LoopThread : SynchronizationContext, IDisposable
{
    // Continuations of the loop and of one activity; a post never waits, so the queue is not bounded by force.
    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _queue = [];
    private readonly Thread _thread;

    public LoopThread()
    {
        _thread = new Thread(Run) { Name = "loop", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Runs <paramref name="work"/> on this thread, continuations included.</summary>
    public Task RunAsync(Func<Task> work)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(
            async _ =>
            {
                try
                {
                    await work();
                    done.SetResult();
                }
                catch (Exception e)
                {
                    // The task root of the loop: whoever awaits the task classifies it.
                    done.SetException(e);
                }
            },
            null);
        return done.Task;
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        try
        {
            _queue.Add((d, state));
        }
        catch (Exception e) when (e is InvalidOperationException or ObjectDisposedException)
        {
            // The loop has ended: a late continuation has nobody to tell, like one of a killed process.
        }
    }

    public override void Send(SendOrPostCallback d, object? state) =>
        throw new NotSupportedException("Nothing waits for the loop's thread.");

    public override SynchronizationContext CreateCopy() => this;

    public void Dispose()
    {
        _queue.CompleteAdding();
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join();
        }

        _queue.Dispose();
    }

    private void Run()
    {
        SetSynchronizationContext(this);
        foreach ((SendOrPostCallback callback, object? state) in _queue.GetConsumingEnumerable())
        {
            callback(state);
        }
    }
}
