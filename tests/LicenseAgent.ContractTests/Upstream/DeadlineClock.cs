namespace LicenseAgent.ContractTests.Upstream;

/// <summary>Timers that fire when the test lets their time pass, and never by themselves.</summary>
internal sealed class DeadlineClock : TimeProvider
{
    private readonly List<Action> _due = [];
    private readonly TaskCompletionSource _armed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>There is a first timer.</summary>
    public Task Armed => _armed.Task;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        lock (_due)
            _due.Add(() => callback(state));
        _armed.TrySetResult();
        return new NoTimer();
    }

    public void Pass()
    {
        Action[] due;
        lock (_due)
            due = [.. _due];
        foreach (var fire in due)
            fire();
    }

    private sealed class NoTimer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
