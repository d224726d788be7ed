namespace LicenseAgent.Sim.Kernel;

/// <summary>
/// One process of a node: everything it awaits continues here. A killed process is a dead context: what is posted to
/// it is dropped, so no continuation and no <c>finally</c> of it ever runs, and its objects are garbage. A stopped one
/// (SIGSTOP, suspend) holds its posts.
/// </summary>
/// <param name="name">The node's, and behind a <c>#</c> which of its processes it is.</param>
internal sealed class SimContext(SimLoop loop, int number, string name) : SynchronizationContext
{
    private readonly List<(SendOrPostCallback Callback, object? State)> _held = [];
    private bool _stopped;

    /// <summary>Distinct in a run; goes into the trace.</summary>
    public int Number { get; } = number;

    public string Name { get; } = name;

    /// <summary>Where what is ready waits, together with that of the node's other processes.</summary>
    internal ReadyWork Waits { get; } = loop.WaitsAt(name.Split('#')[0]);

    public bool IsDead { get; private set; }

    /// <summary>Told of what nobody caught: the end of the process.</summary>
    public Action<Exception>? Crashed { get; set; }

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (IsDead)
        {
            return;
        }

        if (_stopped)
        {
            loop.AssertThread();
            _held.Add((d, state));
            return;
        }

        loop.Ready(this, d, state);
    }

    public override void Send(SendOrPostCallback d, object? state) =>
        throw new NotSupportedException("Nothing in a simulation waits for another.");

    public override SynchronizationContext CreateCopy() => this;

    public void Kill()
    {
        IsDead = true;
        _held.Clear();
    }

    public void Stop() => _stopped = true;

    public void Continue()
    {
        _stopped = false;
        (SendOrPostCallback Callback, object? State)[] held = [.. _held];
        _held.Clear();
        foreach ((SendOrPostCallback callback, object? state) in held)
        {
            Post(callback, state);
        }
    }

    internal void Run(SendOrPostCallback callback, object? state)
    {
        if (IsDead)
        {
            return;
        }

        if (_stopped)
        {
            _held.Add((callback, state));
            return;
        }

        SetSynchronizationContext(this);
        try
        {
            callback(state);
        }
        catch (NodeDeadException)
        {
            // The node was killed inside this very call: nothing of it goes on.
        }
        catch (Exception e) when (e is not LeftTheLoopException && (IsDead || Crashed is not null))
        {
            // The root of the process: who runs the node says what it means. A dead one has nobody to tell.
            if (!IsDead)
            {
                Crashed!(e);
            }
        }
    }
}

/// <summary>A synchronous call of a process that has just been killed.</summary>
internal sealed class NodeDeadException() : Exception("The node is dead.");
