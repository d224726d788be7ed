using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.LocalApi.Peers;

/// <summary>
/// A token bucket per UID over CLOCK_BOOTTIME. One lock, held for a few additions. The map is bounded: when it is full,
/// buckets that have filled up again are forgotten, since a new one would be the same; if there is none, the newcomer
/// waits.
/// </summary>
internal sealed class RateLimit(int perSecond, int burst, IBootClock clock)
{
    private const int UidsMax = 1024;

    // In thousandths of a request, so that a millisecond adds a whole number: perSecond of them.
    private const long One = 1000;

    private readonly Lock _gate = new();
    private readonly Dictionary<uint, Bucket> _buckets = [];

    /// <summary>Takes one; 0, or the whole seconds until there is one again.</summary>
    public int Take(uint uid)
    {
        long now = clock.BootMs;
        lock (_gate)
        {
            Bucket bucket = _buckets.TryGetValue(uid, out Bucket known) ? Filled(known, now) : new Bucket(Full, now);
            if (_buckets.Count >= UidsMax && !_buckets.ContainsKey(uid) && !MakeRoom_NeedsLock(now))
                return 1;
            bool allowed = bucket.Level >= One;
            _buckets[uid] = allowed ? bucket with { Level = bucket.Level - One } : bucket;
            return allowed ? 0 : (int)Math.Max(1, (One - bucket.Level + (perSecond * 1000L) - 1) / (perSecond * 1000L));
        }
    }

    private long Full => burst * One;

    private Bucket Filled(Bucket bucket, long now) => new(
        Math.Min(Full, bucket.Level + (Math.Clamp(now - bucket.AtMs, 0, int.MaxValue) * perSecond)), now);

    private bool MakeRoom_NeedsLock(long now)
    {
        foreach ((uint uid, Bucket bucket) in _buckets)
        {
            if (Filled(bucket, now).Level == Full)
                _buckets.Remove(uid);
        }
        return _buckets.Count < UidsMax;
    }

    private readonly record struct Bucket(long Level, long AtMs);
}
