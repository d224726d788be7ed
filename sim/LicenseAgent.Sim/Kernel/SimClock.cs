namespace LicenseAgent.Sim.Kernel;

/// <summary>One boot of a node: what its processes share of time. Runs on with a drift; a suspend stops the rest.</summary>
internal sealed class SimBoot(SimLoop loop, string id, long driftPpm)
{
    private readonly long _bootedUs = loop.NowUs;
    private long _suspendedUs;
    private long? _asleepSince;

    public string Id { get; } = id;

    public bool IsAsleep => _asleepSince is not null;

    /// <summary>Time since the boot, time asleep included, microseconds.</summary>
    public long BootUs => Drifted(loop.NowUs - _bootedUs);

    /// <summary>Time since the boot without time asleep, microseconds.</summary>
    public long MonotonicUs => Drifted((_asleepSince ?? loop.NowUs) - _bootedUs - _suspendedUs);

    public void Suspend() => _asleepSince ??= loop.NowUs;

    public void Resume()
    {
        if (_asleepSince is { } since)
        {
            _suspendedUs += loop.NowUs - since;
            _asleepSince = null;
        }
    }

    /// <summary>How much virtual time passes until the monotonic clock has gone on by so much.</summary>
    public long Undrifted(long us) => Math.Max(
        0, driftPpm == 0 ? us : us - (long)((Int128)us * driftPpm / (1_000_000 + driftPpm)));

    private long Drifted(long us) => us + (us / 1_000_000 * driftPpm) + (us % 1_000_000 * driftPpm / 1_000_000);
}

/// <summary>
/// The clocks as one process sees them. The wall clock is set, steps and goes back; timers follow the monotonic clock
/// and call back on the process's context.
/// </summary>
/// <param name="wallUnixUs">The node's wall clock, microseconds since 1970, at the loop's present time.</param>
internal sealed class SimClock(SimLoop loop, SimContext context, SimBoot boot, Func<long> wallUnixUs) : TimeProvider
{
    private readonly List<SimTimer> _armed = [];

    public SimBoot Boot { get; } = boot;

    private SimLoop Loop { get; } = loop;

    private SimContext Context { get; } = context;

    public override long TimestampFrequency => 1_000_000;

    public override long GetTimestamp()
    {
        Loop.AssertThread();
        return Boot.MonotonicUs;
    }

    /// <summary>Timers that are armed.</summary>
    public int Armed => _armed.Count;

    public override DateTimeOffset GetUtcNow()
    {
        Loop.AssertThread();
        return DateTimeOffset.UnixEpoch.AddTicks(wallUnixUs() * 10);
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Loop.AssertThread();
        SimTimer timer = new(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>The machine sleeps: the process is held and its timers stand.</summary>
    public void Suspend()
    {
        Boot.Suspend();
        Context.Stop();
    }

    public void Resume()
    {
        Wake();
        Context.Continue();
    }

    /// <summary>The machine is awake again; the process is still held.</summary>
    public void Wake()
    {
        Boot.Resume();
        foreach (SimTimer timer in _armed.ToArray())
        {
            timer.Rearm();
        }
    }

    private sealed class SimTimer : ITimer
    {
        private readonly SimClock _clock;
        private readonly Action _onAlarm;
        private readonly SendOrPostCallback _call;
        private Alarm? _alarm;
        private long _dueUs;
        private TimeSpan _period;

        public SimTimer(SimClock clock, TimerCallback callback, object? state)
        {
            (_clock, _onAlarm, _call) = (clock, OnAlarm, _ => callback(state));
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _clock.Loop.AssertThread();
            Disarm();
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan && !_clock.Context.IsDead)
            {
                _dueUs = _clock.Boot.MonotonicUs + Math.Max(0, dueTime.Ticks / 10);
                _clock._armed.Add(this);
                Arm();
            }

            return true;
        }

        public void Rearm()
        {
            _alarm?.TurnOff();
            Arm();
        }

        public void Dispose() => Disarm();

        public ValueTask DisposeAsync()
        {
            Disarm();
            return default;
        }

        private void Arm() =>
            _alarm = _clock.Loop.After(_clock.Boot.Undrifted(_dueUs - _clock.Boot.MonotonicUs), _onAlarm);

        private void Disarm()
        {
            if (_alarm is not null)
            {
                _alarm.TurnOff();
                _alarm = null;
                _clock._armed.Remove(this);
            }
        }

        private void OnAlarm()
        {
            if (_clock.Boot.MonotonicUs < _dueUs)
            {
                // Asleep meanwhile, or a rounding: the rest is waited for.
                if (!_clock.Boot.IsAsleep)
                {
                    _alarm = _clock.Loop.After(
                        _clock.Boot.Undrifted(_dueUs - _clock.Boot.MonotonicUs) + 1, _onAlarm);
                }

                return;
            }

            Disarm();
            if (_period > TimeSpan.Zero)
            {
                Change(_period, _period);
            }

            _clock.Context.Post(_call, null);
        }
    }
}
