namespace LicenseAgent.Core;

/// <summary>The agent's own intervals, each with where it comes from.</summary>
internal static class Timing
{
    /// <summary>The high-water is written this often: what a power cut may lose, and what a boot adds.</summary>
    public const long HighWaterEveryMs = 60_000;

    /// <summary>Checkpoints are hourly. The mirror goes with them, less often while NORMAL: NV wears out.</summary>
    public const long AnchorEveryMs = 3_600_000;

    /// <summary>An authenticated refusal that only an operator ends is tried again hourly.</summary>
    public const long RefusedRetryMs = 3_600_000;

    /// <summary>A server's wish for patience counts up to this, signed or not.</summary>
    public const long SignedDelayMaxMs = 3_600_000;
    public const long UnsignedDelayMaxMs = 300_000;

    /// <summary>A till that is suspended or LOCKED asks often enough for an operator who waits at the phone.</summary>
    public const long LockedCheckInMs = 60_000;

    /// <summary>A dead TPM is asked again within this.</summary>
    public const long TpmProbeMaxMs = 30_000;

    /// <summary>
    /// A clock ahead by less, and steady, is believed; further ahead only after as long without contact.
    /// </summary>
    public const long ForwardJumpMaxMs = 48 * 3_600_000L;

    /// <summary>Of one sleep this much counts at once: a weekend.</summary>
    public const long SleepBelievedMs = 48 * 3_600_000L;

    /// <summary>A clock ahead by less says nothing that is worth a step.</summary>
    public const long ClockAheadMinMs = 1_000;

    /// <summary>How long a clock runs as the boot clock does before it is believed, and how exactly.</summary>
    public const long SteadyMs = 600_000;
    public const long SteadyToleranceMs = 60_000;

    /// <summary>While a clock is too far ahead, contact is tried this often.</summary>
    public const long DoubtContactMs = 300_000;

    /// <summary>
    /// The mirror is written this often while NORMAL: with what is under way, never more than 6 h pass between two.
    /// </summary>
    public const long MirrorEveryMs = 6 * 3_600_000L - 600_000;
    public const long MirrorEveryNotNormalMs = 3_600_000;

    /// <summary>Charged when the run state was put back: the longest time between two writes of the mirror.</summary>
    public const long PutBackChargeMs = 6 * 3_600_000L;

    /// <summary>
    /// So many tries without contact are a back-off, about a minute on average; then the regular interval is kept.
    /// </summary>
    public const int QuickTries = 6;

    public const long BackoffMaxMs = 300_000;

    private const long BackoffBaseMs = 1_000;
    private const long BackoffMaxDegradedMs = 120_000;

    /// <summary>Full jitter between the base and a ceiling that doubles: a fleet does not come back in step.</summary>
    public static long BackoffMs(int failures, bool degraded, double draw)
    {
        long max = degraded ? BackoffMaxDegradedMs : BackoffMaxMs;
        long ceiling = Math.Min(max, BackoffBaseMs << Math.Min(failures, 20));
        return BackoffBaseMs + (long)(draw * (ceiling - BackoffBaseMs));
    }

    /// <summary>± 20 %: check-ins of a fleet that started together drift apart.</summary>
    public static long Spread(long intervalMs, double draw) => (long)(intervalMs * (0.8 + (0.4 * draw)));
}
