namespace LicenseServer.Agents;

/// <summary>How many requests one sender may make.</summary>
public sealed record RateLimitOptions
{
    public int PerMinute { get; init; } = 60;

    public int Burst { get; init; } = 20;
}

/// <summary>Token buckets by sender, in memory. One lock; each take is a few additions.</summary>
internal sealed class RateLimit(RateLimitOptions options, TimeProvider time)
{
    /// <summary>When so many senders are known, those whose bucket is full again are forgotten, and if none is,
    /// all.</summary>
    private const int SendersMax = 200_000;

    private readonly Dictionary<string, Bucket> _buckets = [];
    private readonly Lock _gate = new();

    /// <returns>0 when the request may go on, else the seconds until the next one may.</returns>
    public int Take(string sender)
    {
        var now = time.GetTimestamp();
        lock (_gate)
        {
            var tokens = Math.Min(options.Burst, Refilled_NeedsLock(sender, now));
            if (tokens < 1)
            {
                _buckets[sender] = new Bucket(tokens, now);
                return (int)Math.Ceiling((1 - tokens) * 60 / options.PerMinute);
            }

            if (_buckets.Count >= SendersMax) Forget_NeedsLock(now);
            _buckets[sender] = new Bucket(tokens - 1, now);
            return 0;
        }
    }

    private double Refilled_NeedsLock(string sender, long now) => _buckets.TryGetValue(sender, out var bucket)
        ? bucket.Tokens + (time.GetElapsedTime(bucket.At, now).TotalMinutes * options.PerMinute)
        : options.Burst;

    private void Forget_NeedsLock(long now)
    {
        string[] full = [.. _buckets.Keys.Where(sender => Refilled_NeedsLock(sender, now) >= options.Burst)];
        foreach (var sender in full) _buckets.Remove(sender);
        if (full.Length == 0) _buckets.Clear();
    }

    private readonly record struct Bucket(double Tokens, long At);
}
