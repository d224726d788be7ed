using System.Text;

namespace LicenseAgent.Daemon.Metrics;

/// <summary>
/// Decides when the metrics are written: at once when a gauge changes, else 15 s after anything did; while nothing does
/// no timer runs. The loop sets gauges, anybody counts, the timer may fire on another thread; one lock keeps the order
/// of writes.
/// </summary>
internal sealed class MetricsPublisher : IDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);

    private readonly AgentMetrics _metrics;
    private readonly Action<byte[]> _write;
    private readonly Lock _gate = new();
    private readonly ITimer _timer;
    private MetricsMark? _written;
    private bool _disposed;

    // 1 from the first change until the timer fires for it.
    private int _armed;

    /// <param name="write">Puts the text where it belongs; must not block and must not throw.</param>
    public MetricsPublisher(AgentMetrics metrics, TimeProvider time, Action<byte[]> write)
    {
        _metrics = metrics;
        _write = write;
        _timer = time.CreateTimer(_ => OnTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _metrics.Counted = Arm;
    }

    /// <summary>After each step of the loop, once a minute at least: what moves by itself is looked at, too.</summary>
    public void Set(AgentGauges gauges)
    {
        if (_metrics.Set(gauges))
            PublishChanges();
        else if (Volatile.Read(ref _armed) == 0 && HasChanged())
            Arm();
    }

    /// <summary>Writes now if anything changed since the last write; also the last act before a clean stop.</summary>
    public void PublishChanges()
    {
        lock (_gate)
        {
            // Taken before the text: what changes in between is in the text and is written once more.
            MetricsMark mark = _metrics.Mark();
            if (_disposed || mark == _written)
                return;
            _written = mark;
            _write(Encoding.UTF8.GetBytes(_metrics.Render()));
        }
    }

    public void Dispose()
    {
        _metrics.Counted = null;
        lock (_gate)
            _disposed = true;
        _timer.Dispose();
    }

    /// <summary>Any thread, at every count: one read while the timer runs.</summary>
    private void Arm()
    {
        if (Volatile.Read(ref _armed) == 0 && Interlocked.Exchange(ref _armed, 1) == 0)
            _timer.Change(Interval, Timeout.InfiniteTimeSpan);
    }

    private void OnTimer()
    {
        // First: what is counted from here on may not be in the text, and is waited for anew.
        Volatile.Write(ref _armed, 0);
        PublishChanges();
    }

    private bool HasChanged()
    {
        lock (_gate)
            return _metrics.Mark() != _written;
    }
}
