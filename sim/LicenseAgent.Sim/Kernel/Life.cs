namespace LicenseAgent.Sim.Kernel;

/// <summary>When a process is to die: at the n-th call of a port from now, before or after it took effect.</summary>
internal readonly record struct CrashPoint(long Call, bool After);

/// <summary>
/// One process of a node seen from its ports. Every call of a port goes through here: it must be on the loop's thread,
/// it is counted, it takes time, the process may be killed at it, and after a kill it never returns.
/// </summary>
internal sealed class Life(SimLoop loop, SimContext context, Action<CrashPoint> crash)
{
    private readonly List<Pending> _pending = [];
    private CrashPoint? _crashAt;

    public SimContext Context { get; } = context;

    public SimLoop Loop { get; } = loop;

    public bool IsOver => Context.IsDead;

    /// <summary>Calls of ports so far.</summary>
    public long Calls { get; private set; }

    /// <summary>Told of every call, by name; fail-Nth and the reports count with it.</summary>
    public Action<string>? Called { get; set; }

    public void CrashAfter(CrashPoint? inCalls) =>
        _crashAt = inCalls is { } point ? point with { Call = Calls + point.Call } : null;

    /// <summary>A call that answers later; what it does happens when it answers.</summary>
    public Task<T> Call<T>(string name, long tookUs, Func<T> effect) =>
        Call(name, tookUs, new Effect<T>([], effect));

    /// <summary>
    /// A call made of steps: a kill while it is on its way leaves any beginning of them done.
    /// </summary>
    public Task<T> Call<T>(string name, long tookUs, Effect<T> effect)
    {
        Loop.AssertThread();
        TaskCompletionSource<T> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        if (IsOver || Enter(name, after: false))
        {
            return answer.Task;
        }

        CrashPoint? crashes = _crashAt is { After: true } at && at.Call == Calls ? at : null;
        Pending pending = new(effect.Steps);
        _pending.Add(pending);
        Loop.After(tookUs, () =>
        {
            if (IsOver || !_pending.Remove(pending))
            {
                return;
            }

            Finish(effect, answer, crashes);
        });
        return answer.Task;
    }

    /// <summary>A call whose answer somebody else gives, at some time, or never.</summary>
    public Task<T> Ask<T>(string name, Action<Asked<T>> begin)
    {
        Loop.AssertThread();
        Asked<T> asked = new(this);
        if (!IsOver && !Enter(name, after: false))
        {
            CrashPoint? crashes = _crashAt is { After: true } at && at.Call == Calls ? at : null;
            asked.Crashes = crashes is { } point ? () => crash(point) : null;
            begin(asked);
        }

        return asked.Task;
    }

    /// <summary>A call that answers at once.</summary>
    public void Enter(string name)
    {
        Loop.AssertThread();
        if (IsOver || Enter(name, after: false))
        {
            throw new NodeDeadException();
        }
    }

    /// <summary>After a call that answers at once took effect.</summary>
    public void Leave()
    {
        if (_crashAt is { After: true } at && at.Call == Calls)
        {
            crash(at);
            throw new NodeDeadException();
        }
    }

    /// <summary>Ends the process where it stands; of calls on their way any beginning is done.</summary>
    public void Kill(SimRandom chance)
    {
        Context.Kill();
        foreach (Pending pending in _pending)
        {
            Begin(pending.Steps, (int)chance.Below(pending.Steps.Count + 1));
        }

        _pending.Clear();
    }

    private static void Begin(IReadOnlyList<Action> steps, int count)
    {
        try
        {
            foreach (Action step in steps.Take(count))
            {
                step();
            }
        }
        catch (Exception e) when (e is not LeftTheLoopException)
        {
            // A step that fails ends the call, and there is nobody left to hear of it.
            return;
        }
    }

    private bool Enter(string name, bool after)
    {
        Calls++;
        Called?.Invoke(name);
        if (_crashAt is { } at && at.Call == Calls && at.After == after)
        {
            crash(at);
            return true;
        }

        return false;
    }

    private void Finish<T>(Effect<T> effect, TaskCompletionSource<T> answer, CrashPoint? crashes)
    {
        T result;
        try
        {
            foreach (Action step in effect.Steps)
            {
                step();
            }

            result = effect.Answer();
        }
        catch (Exception e) when (crashes is null)
        {
            // What a port reports as failed goes to its caller.
            answer.SetException(e);
            return;
        }
        catch (Exception)
        {
            crash(crashes!.Value);
            return;
        }

        if (crashes is { } at)
        {
            crash(at);
            return;
        }

        answer.SetResult(result);
    }

    private sealed record Pending(IReadOnlyList<Action> Steps);
}

/// <summary>What a call does, step by step, and what it answers when all are done.</summary>
internal readonly record struct Effect<T>(IReadOnlyList<Action> Steps, Func<T> Answer);

/// <summary>A call that waits for an answer; the first one counts, and none once the process is over.</summary>
internal sealed class Asked<T>(Life life)
{
    private readonly TaskCompletionSource<T> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<T> Task => _answer.Task;

    public bool IsAnswered => _answer.Task.IsCompleted || life.IsOver;

    internal Action? Crashes { get; set; }

    /// <summary>Whose cancellation ends it; taken back with the answer, or a token that lives long keeps every call.</summary>
    public CancellationTokenRegistration Cancels { get; set; }

    public void Give(T answer)
    {
        if (!IsAnswered && !Died())
        {
            _answer.SetResult(answer);
            Cancels.Dispose();
        }
    }

    public void Fail(Exception failure)
    {
        if (!IsAnswered && !Died())
        {
            _answer.SetException(failure);
            Cancels.Dispose();
        }
    }

    private bool Died()
    {
        Crashes?.Invoke();
        return Crashes is not null;
    }
}
