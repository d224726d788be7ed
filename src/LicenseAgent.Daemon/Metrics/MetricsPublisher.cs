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
    private string _written = "";
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
            string text = _metrics.Render();
            if (_disposed || text == _written)
                return;
            _written = text;
            _write(Encoding.UTF8.GetBytes(text));
        }
    }

    public void Dispose()
    {
        lock (_gate)
            _disposed = true;
        _timer.Dispose();
    }
}
