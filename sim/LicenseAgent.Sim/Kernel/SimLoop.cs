namespace LicenseAgent.Sim.Kernel;

/// <summary>Something in the simulation ran on another thread: the run is worth nothing.</summary>
internal sealed class LeftTheLoopException(string message) : Exception(message);

/// <summary>
/// The one thread that everything runs on. What is ready at a node is taken in an order that the seed decides, from a
/// stream of the node's own, so that no node's order depends on what others do; nodes take turns in the order in which
/// they became ready. When nothing is ready, time jumps to the next alarm. Knows nodes as contexts and nothing of what
/// they do.
/// </summary>
internal sealed class SimLoop
{
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly Dictionary<string, ReadyWork> _nodes = new(StringComparer.Ordinal);
    private readonly Queue<ReadyWork> _waiting = new();
    private readonly PriorityQueue<Alarm, (long At, long Seq)> _alarms = new();
    private long _seq;
    private LeftTheLoopException? _left;

    public SimLoop(ulong seed) => Seed = seed;

    public ulong Seed { get; }

    /// <summary>Virtual time since the run began, microseconds.</summary>
    public long NowUs { get; private set; }

    public long Steps { get; private set; }

    public TraceHash Trace { get; } = new();

    /// <summary>Whoever calls a port must be on the loop's thread.</summary>
    public void AssertThread()
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            throw Leave();
        }
    }

    /// <summary>Queues work for a context.</summary>
    public void Ready(SimContext owner, SendOrPostCallback work, object? state)
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            throw Leave();
        }

        ReadyWork node = owner.Waits;
        node.Add(new Work(owner, work, state));
        if (node.Count == 1)
        {
            _waiting.Enqueue(node);
        }
    }

    /// <summary>What waits at a node, whichever of its processes it is for.</summary>
    internal ReadyWork WaitsAt(string node)
    {
        if (!_nodes.TryGetValue(node, out ReadyWork? waits))
        {
            _nodes.Add(node, waits = new ReadyWork(SimRandom.Of(Seed, node, "order")));
        }

        return waits;
    }

    /// <summary>Calls back at a time, on no node's behalf.</summary>
    public Alarm At(long us, Action ring)
    {
        AssertThread();
        Alarm alarm = new(ring);
        _alarms.Enqueue(alarm, (Math.Max(us, NowUs), ++_seq));
        return alarm;
    }

    public Alarm After(long us, Action ring) => At(NowUs + us, ring);

    /// <summary>A task that ends after a while; its continuations go through the ready list.</summary>
    public Task Delay(long us)
    {
        TaskCompletionSource over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        After(us, over.SetResult);
        return over.Task;
    }

    /// <summary>Runs up to and including a time, at most so many steps.</summary>
    /// <returns>False when the steps did not suffice: something spins.</returns>
    public bool RunUntil(long us, long maxSteps)
    {
        SynchronizationContext? before = SynchronizationContext.Current;
        try
        {
            while (maxSteps-- > 0)
            {
                if (!Step(us))
                {
                    NowUs = Math.Max(NowUs, us);
                    return true;
                }
            }

            return false;
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    private bool Step(long until)
    {
        if (Volatile.Read(ref _left) is { } left)
        {
            throw left;
        }

        if (_waiting.TryPeek(out ReadyWork? node))
        {
            Work work = node.Take();
            if (node.Count == 0)
            {
                _waiting.Dequeue();
            }

            Steps++;
            Trace.Add(work.Owner.Number);
            work.Owner.Run(work.Callback, work.State);
            return true;
        }

        if (_alarms.TryPeek(out _, out (long At, long Seq) next) && next.At <= until)
        {
            Alarm alarm = _alarms.Dequeue();
            if (!alarm.IsOff)
            {
                NowUs = next.At;
                Steps++;
                Trace.Add(NowUs);
                SynchronizationContext.SetSynchronizationContext(null);
                alarm.Ring();
            }

            return true;
        }

        return false;
    }

    private LeftTheLoopException Leave()
    {
        LeftTheLoopException left = new(
            "Code of a node runs outside the loop's thread: Task.Run, ConfigureAwait(false), a timer or a pool. "
            + Environment.StackTrace);
        Volatile.Write(ref _left, left);
        return left;
    }
}

/// <summary>A call that a context is to make.</summary>
internal readonly record struct Work(SimContext Owner, SendOrPostCallback Callback, object? State);

/// <summary>What is ready at one node, taken in an order that its own stream of chance decides.</summary>
internal sealed class ReadyWork(SimRandom order)
{
    private readonly List<Work> _items = [];

    public int Count => _items.Count;

    public void Add(Work work) => _items.Add(work);

    public Work Take()
    {
        int at = _items.Count == 1 ? 0 : (int)order.Below(_items.Count);
        Work work = _items[at];
        _items[at] = _items[^1];
        _items.RemoveAt(_items.Count - 1);
        return work;
    }
}

/// <summary>A call at a later time.</summary>
internal sealed class Alarm(Action ring)
{
    public bool IsOff { get; private set; }

    public void TurnOff() => IsOff = true;

    internal void Ring()
    {
        IsOff = true;
        ring();
    }
}
