using System.Collections.Concurrent;
using LicenseAgent.Tpm.Esys;

namespace LicenseAgent.Tpm;

/// <summary>
/// The one thread that speaks to the TPM, and the queue before it. The thread owns the connection: it makes one when
/// a call needs it, checks the binding on it, and throws it away after any failure, so that no call inherits the doubts
/// of the one before. Callers' continuations never run on this thread.
/// </summary>
internal sealed class TpmWorker : IAsyncDisposable
{
    /// <summary>
    /// Calls that may wait. A rotation needs ten in sequence; a full queue means a stuck TPM, so more fail at once.
    /// </summary>
    public const int QueueMax = 64;

    private readonly Func<CancellationToken, TpmLink> _connect;
    private readonly BlockingCollection<TpmCall> _queue = new(QueueMax);
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _start = new();
    private bool _started;
    private bool _disposed;

    public TpmWorker(Func<CancellationToken, TpmLink> connect) => _connect = connect;

    public Task<T> Run<T>(Func<TpmLink, T> work, CancellationToken cancellationToken)
    {
        var call = new TpmCall<T>(work, cancellationToken);
        lock (_start)
        {
            if (_disposed) return Task.FromException<T>(new ObjectDisposedException(nameof(TpmDevice)));
            if (!_started) new Thread(Loop) { IsBackground = true, Name = "tpm" }.Start();
            _started = true;
            if (_queue.TryAdd(call)) return call.Task;
        }

        return Task.FromException<T>(new TpmException(
            TpmFailure.Overloaded,
            $"{QueueMax} TPM calls are waiting already; this one was not sent. The TPM is slow or stuck: see what "
            + "failed before."));
    }

    /// <summary>
    /// Ends the call in flight within a deadline's slice, fails those that wait, and closes the connection.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        lock (_start)
        {
            if (_disposed) return;
            _disposed = true;
            _queue.CompleteAdding();
            if (!_started) _ended.SetResult();
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _ended.Task.ConfigureAwait(false);
        _queue.Dispose();
        _stopping.Dispose();
    }

    private void Loop()
    {
        TpmLink? link = null;
        foreach (var call in _queue.GetConsumingEnumerable())
        {
            if (_stopping.IsCancellationRequested)
            {
                call.Abandon();
                continue;
            }

            if (!call.TryBegin()) continue;
            try
            {
                if (link is { IsUsable: false }) Drop(ref link);
                link ??= _connect(_stopping.Token);
                call.Run(link);
                if (!link.IsUsable) Drop(ref link);
            }
            // The root of this thread: whatever a call threw is its caller's, and the thread serves the next one.
            catch (Exception e)
            {
                Drop(ref link);
                call.Fail(e);
            }
        }

        Drop(ref link);
        _ended.SetResult();
    }

    private static void Drop(ref TpmLink? link)
    {
        link?.Dispose();
        link = null;
    }
}

/// <summary>One call on its way through the queue. It can be cancelled until it begins; then the TPM has it.</summary>
internal abstract class TpmCall
{
    private const int Waiting = 0;
    private const int Begun = 1;
    private const int Cancelled = 2;

    private int _phase = Waiting;

    public bool TryBegin() => Interlocked.CompareExchange(ref _phase, Begun, Waiting) == Waiting;

    public abstract void Run(TpmLink link);

    public abstract void Fail(Exception e);

    public void Abandon()
    {
        if (TryBegin()) Fail(new ObjectDisposedException(nameof(TpmDevice)));
    }

    protected bool TryCancel() => Interlocked.CompareExchange(ref _phase, Cancelled, Waiting) == Waiting;
}

/// <summary>A call with its result.</summary>
internal sealed class TpmCall<T> : TpmCall
{
    private readonly Func<TpmLink, T> _work;
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenRegistration _registration;

    public TpmCall(Func<TpmLink, T> work, CancellationToken cancellationToken)
    {
        _work = work;
        // Once begun, a cancelled caller would get its buffer back while the TPM's answer is still to be written to it.
        _registration = cancellationToken.UnsafeRegister(
            (_, token) =>
            {
                if (TryCancel()) _done.TrySetCanceled(token);
            },
            null);
    }

    public Task<T> Task => _done.Task;

    public override void Run(TpmLink link)
    {
        var result = _work(link);
        _registration.Unregister();
        _done.TrySetResult(result);
    }

    public override void Fail(Exception e)
    {
        _registration.Unregister();
        _done.TrySetException(e);
    }
}
