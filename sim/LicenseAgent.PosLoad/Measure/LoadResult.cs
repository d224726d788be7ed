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

    /// <summary>Tries while the server was away by an event; not among <see cref="Due"/>.</summary>
    public long Away { get; set; }

    /// <summary>Of a phase in which the next request waits for the one before.</summary>
    public bool IsClosed { get; set; }

    /// <summary>Why requests failed.</summary>
    public Reasons Reasons { get; } = new();

    public LatencyHistogram Latency { get; } = new();

    public LatencyHistogram Lag { get; } = new();
}

/// <summary>Something that was done to the till, and what came of it.</summary>
/// <param name="Trouble">Why it failed; empty when it did not.</param>
internal sealed record EventDone(double At, string Do, double Took, string Trouble);

/// <summary>What agents that keep to their own schedule did.</summary>
/// <param name="Agents">Of the fleet.</param>
/// <param name="Rotations">Committed.</param>
/// <param name="RotationsFailed">Refused, not usable, or without an answer while the server was there.</param>
/// <param name="NotNormal">Agents in another mode than NORMAL at the end.</param>
/// <param name="TimeFactor">How many seconds of the fleet's time pass in one.</param>
internal sealed record FleetTally(int Agents, long Rotations, long RotationsFailed, int NotNormal, int TimeFactor);

/// <summary>Everything a run saw of one target.</summary>
internal sealed class LoadResult(string target)
{
    /// <summary>Beyond this the generator itself was late, and the run says nothing.</summary>
    public const double LagP99MaxMs = 1;

    private const int TroublesMax = 10;

    /// <summary>
    /// What voids this run: <see cref="LagP99MaxMs"/> where times of requests are judged, more where minutes are.
    /// </summary>
    public double LagMaxMs { get; init; } = LagP99MaxMs;

    public string Target { get; } = target;

    public List<LoadSecond> Seconds { get; } = [];

    public List<ProcessSample> Samples { get; } = [];

    /// <summary>Objects and sessions in the TPM, more than before; <see langword="null"/>: nobody looked.</summary>
    public int? TpmLeft { get; set; }

    public List<EventDone> Events { get; } = [];

    /// <summary>Why requests failed, the most frequent first, at most ten.</summary>
    public IReadOnlyList<string> Troubles
    {
        get
        {
            Reasons all = new();
            foreach (LoadSecond second in Seconds)
            {
                all.Add(second.Reasons.Counts);
            }

            return all.Top(TroublesMax);
        }
    }

    /// <summary>What a fleet with a schedule of its own did.</summary>
    public FleetTally? Fleet { get; set; }

    /// <summary>Of the phases with times of their own, where there are any: how long a request takes at most rate is
    /// how many are open at once.</summary>
    public LatencyHistogram Latency => Sum(Seconds.Any(s => !s.IsClosed) ? s => !s.IsClosed : _ => true, s => s.Latency);

    /// <summary>Right answers a second in the phases without times of their own; 0 without such a phase.</summary>
    public double PerSecond => Seconds.Where(s => s.IsClosed).Select(s => (double)s.Expected).DefaultIfEmpty().Average();

    public LatencyHistogram Lag => Sum(_ => true, s => s.Lag);

    public long Due => Seconds.Sum(s => s.Due);

    public long Expected => Seconds.Sum(s => s.Expected);

    public long Failed => Seconds.Sum(s => s.Failed);

    public bool IsVoid => Lag.Quantile(0.99) / 1000.0 > LagMaxMs;

    private LatencyHistogram Sum(Func<LoadSecond, bool> wanted, Func<LoadSecond, LatencyHistogram> of)
    {
        LatencyHistogram sum = new();
        foreach (LoadSecond second in Seconds.Where(wanted))
        {
            sum.Add(of(second));
        }

        return sum;
    }
}
