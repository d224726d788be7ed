namespace LicenseAgent.Daemon.LocalApi.Peers;

/// <summary>
/// How long a new connection has to wait before anything is set up for it: nothing for the first few of a UID, then as
/// long as keeps its arrivals an even distance apart. Setting up and taking down a connection is the dearest thing a
/// peer can ask for; spread, it delays nobody else. One caller at a time.
/// </summary>
internal sealed class ArrivalPace(TimeProvider time)
{
    public const int Burst = 8, PerSecond = 2_000;

    // Beyond this many, those that are on time are forgotten: a new entry would say the same.
    private const int UidsMax = 1_024;

    // When the next arrival of a UID would be on time, timestamps.
    private readonly Dictionary<uint, long> _next = [];

    /// <returns>The timestamp from which on the connection may be served.</returns>
    public long DueOf(uint uid)
    {
        long now = time.GetTimestamp(), apart = time.TimestampFrequency / PerSecond;
        long mine = Math.Max(now, _next.GetValueOrDefault(uid, now));
        if (_next.Count >= UidsMax)
            Forget(now);
        _next[uid] = mine + apart;
        return Math.Max(now, mine - (Burst * apart));
    }

    private void Forget(long now)
    {
        foreach ((uint uid, long next) in _next)
        {
            if (next <= now)
                _next.Remove(uid);
        }
    }
}
