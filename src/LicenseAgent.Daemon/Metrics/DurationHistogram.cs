namespace LicenseAgent.Daemon.Metrics;

/// <summary>
/// A Prometheus histogram of durations. Any thread may observe; a reader may see an observation in its bucket before it
/// is in the sum, never a bucket count that shrinks.
/// </summary>
internal sealed class DurationHistogram
{
    private readonly double[] _bounds;
    private readonly string[] _texts; // of the buckets' bounds
    private readonly long[] _buckets; // one more than bounds: what is above the last
    private long _ticks;

    /// <param name="bounds">Upper bounds in seconds, ascending.</param>
    public DurationHistogram(params double[] bounds)
    {
        _bounds = bounds;
        _texts = [.. bounds.Select(PrometheusFamily.Number), "+Inf"];
        _buckets = new long[bounds.Length + 1];
    }

    public void Observe(TimeSpan took)
    {
        // Array.BinarySearch finds the bound itself for a value on it: "le" is inclusive.
        int found = Array.BinarySearch(_bounds, took.TotalSeconds);
        Interlocked.Increment(ref _buckets[found >= 0 ? found : ~found]);
        Interlocked.Add(ref _ticks, took.Ticks);
    }

    /// <summary>How many were observed, and their sum.</summary>
    public (long Count, long Ticks) Seen
    {
        get
        {
            long count = 0;
            for (int i = 0; i < _buckets.Length; i++)
                count += Volatile.Read(ref _buckets[i]);
            return (count, Volatile.Read(ref _ticks));
        }
    }

    public void Write(PrometheusFamily family, params (string Name, string Value)[] labels)
    {
        long count = 0;
        (string Name, string Value)[] bucket = [.. labels, default];
        for (int i = 0; i < _buckets.Length; i++)
        {
            count += Interlocked.Read(ref _buckets[i]);
            bucket[^1] = ("le", _texts[i]);
            family.Sample("_bucket", count, bucket);
        }

        family.Sample("_sum", TimeSpan.FromTicks(Interlocked.Read(ref _ticks)).TotalSeconds, labels);
        family.Sample("_count", count, labels);
    }
}
