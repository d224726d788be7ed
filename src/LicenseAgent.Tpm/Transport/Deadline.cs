namespace LicenseAgent.Tpm.Transport;

/// <summary>A point in monotonic time by which something must be over, and the wish to stop before it.</summary>
internal readonly struct Deadline
{
    // A stop request is noticed this late at most while a TPM is silent.
    private const int SliceMs = 100;

    private readonly long _end;
    private readonly TimeSpan _span;
    private readonly CancellationToken _stopping;

    private Deadline(TimeSpan span, CancellationToken stopping)
    {
        _span = span;
        _end = Environment.TickCount64 + (long)span.TotalMilliseconds;
        _stopping = stopping;
    }

    public static Deadline After(TimeSpan span, CancellationToken stopping) => new(span, stopping);

    public TimeSpan Remaining => TimeSpan.FromMilliseconds(Math.Max(0, _end - Environment.TickCount64));

    public CancellationToken Stopping => _stopping;

    /// <summary>How long to wait before asking again; throws when the time is over or the agent stops.</summary>
    public int NextSliceMs(string waitingFor)
    {
        if (_stopping.IsCancellationRequested)
            throw new TpmException(TpmFailure.Unavailable, $"The agent stops; it no longer waits for {waitingFor}.");
        var remaining = _end - Environment.TickCount64;
        if (remaining <= 0) throw Passed(waitingFor);
        return (int)Math.Min(remaining, SliceMs);
    }

    public TpmException Passed(string waitingFor) => new(
        TpmFailure.TimedOut,
        $"Waited {_span.TotalSeconds:0.###} s for {waitingFor} in vain. The agent keeps trying; if it lasts, restart "
        + "the machine or the emulator, and check that no other program holds the device.");
}
