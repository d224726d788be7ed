using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.LocalApi.SignIn;

/// <summary>
/// Challenges that wait to be signed: one a connection, the newest, for 60 s of CLOCK_BOOTTIME, once, by the UID that
/// asked. One lock.
/// </summary>
internal sealed class Challenges(IRandomness randomness, IBootClock clock)
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(60);

    // The limit of connections is larger; who signs in does it at once.
    private const int OpenMax = 64;

    private readonly Lock _gate = new();
    private readonly Dictionary<(long Connection, uint Uid), (Digest32 Challenge, long EndsMs)> _open = [];

    /// <returns><see langword="null"/> when too many wait already.</returns>
    public Digest32? Make(long connection, uint uid)
    {
        Span<byte> bytes = stackalloc byte[Digest32.Length];
        randomness.Fill(bytes);
        Digest32 challenge = Digest32.From(bytes);
        long now = clock.BootMs;
        lock (_gate)
        {
            foreach (((long, uint) key, (_, long endsMs)) in _open)
            {
                if (now >= endsMs)
                    _open.Remove(key);
            }
            if (_open.Count >= OpenMax && !_open.ContainsKey((connection, uid)))
                return null;
            _open[(connection, uid)] = (challenge, now + (long)Lifetime.TotalMilliseconds);
            return challenge;
        }
    }

    /// <summary>Takes the challenge of this connection and UID: whatever comes of it, it is used up.</summary>
    public Digest32? Take(long connection, uint uid)
    {
        lock (_gate)
        {
            return _open.Remove((connection, uid), out (Digest32 Challenge, long EndsMs) open)
                && clock.BootMs < open.EndsMs
                ? open.Challenge
                : null;
        }
    }

    public void Clear()
    {
        lock (_gate)
            _open.Clear();
    }
}
