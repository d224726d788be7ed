using System.Text;

namespace LicenseAgent.Daemon.Metrics;

/// <summary>
/// Decides when the metrics are written: at once when a gauge changes, else every 15 s if anything did. The loop sets
/// gauges, the timer may fire on another thread; one lock keeps the order of writes.
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

    /// <param name="write">Puts the text where it belongs; must not block and must not throw.</param>
    public MetricsPublisher(AgentMetrics metrics, TimeProvider time, Action<byte[]> write)
    {
        _metrics = metrics;
        _write = write;
        _timer = time.CreateTimer(_ => PublishChanges(), null, Interval, Interval);
    }

    public void Set(AgentGauges gauges)
    {
        if (_metrics.Set(gauges))
            PublishChanges();
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
        lock (_gate)
            _disposed = true;
        _timer.Dispose();
    }
}
