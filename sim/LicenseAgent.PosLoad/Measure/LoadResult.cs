namespace LicenseAgent.PosLoad.Measure;

/// <summary>A second of all workers together; requests count in the second they were due.</summary>
internal sealed class LoadSecond(int second)
{
    public int Second { get; } = second;

    public long Due { get; set; }

    public long Expected { get; set; }

    public long Wrong { get; set; }

    public long Refused { get; set; }

    public long Broken { get; set; }

    public long Failed => Wrong + Refused + Broken;

    public LatencyHistogram Latency { get; } = new();

    public LatencyHistogram Lag { get; } = new();
}

/// <summary>Something that was done to the till, and what came of it.</summary>
/// <param name="Trouble">Why it failed; empty when it did not.</param>
internal sealed record EventDone(double At, string Do, double Took, string Trouble);

/// <summary>Everything a run saw of one target.</summary>
internal sealed class LoadResult(string target)
{
    /// <summary>Beyond this the generator itself was late, and the run says nothing.</summary>
    public const double LagP99MaxMs = 1;

    public string Target { get; } = target;

    public List<LoadSecond> Seconds { get; } = [];

    public List<ProcessSample> Samples { get; } = [];

    public List<EventDone> Events { get; } = [];

    /// <summary>Different failures, at most ten.</summary>
    public SortedSet<string> Troubles { get; } = new(StringComparer.Ordinal);

    public LatencyHistogram Latency => Sum(s => s.Latency);

    public LatencyHistogram Lag => Sum(s => s.Lag);

    public long Due => Seconds.Sum(s => s.Due);

    public long Expected => Seconds.Sum(s => s.Expected);

    public long Failed => Seconds.Sum(s => s.Failed);

    public bool IsVoid => Lag.Quantile(0.99) / 1000.0 > LagP99MaxMs;

    private LatencyHistogram Sum(Func<LoadSecond, LatencyHistogram> of)
    {
        LatencyHistogram sum = new();
        foreach (LoadSecond second in Seconds)
        {
            sum.Add(of(second));
        }

        return sum;
    }
}
