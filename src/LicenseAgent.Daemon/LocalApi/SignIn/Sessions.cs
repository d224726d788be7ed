using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.LocalApi.SignIn;

/// <summary>What a session stands for.</summary>
internal sealed record Session(uint Uid, OperatorIdentity Operator, long EndsMs);

/// <summary>
/// Sessions of operators who signed in: 32 bytes each, known here by their hash alone, for 5 min of CLOCK_BOOTTIME and
/// not beyond their certificate, usable by their UID alone, ended by every reload. One lock.
/// </summary>
internal sealed class Sessions(IRandomness randomness, IBootClock clock)
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    // A script signs in for each command: the oldest of a user makes room. Users together are bounded as well.
    private const int OfUidMax = 16, OpenMax = 256;

    private readonly Lock _gate = new();
    private readonly Dictionary<Digest32, Session> _open = [];
    private long _epoch;

    /// <summary>
    /// Moves with <see cref="EndAll"/>: taken before a certificate is judged, it tells whether that still counts when
    /// the session begins.
    /// </summary>
    public long Epoch
    {
        get
        {
            lock (_gate)
                return _epoch;
        }
    }

    /// <param name="lifetime">What is left of the certificate, at most <see cref="Lifetime"/>.</param>
    /// <returns><see langword="null"/> when there are too many of other users, or the epoch is over.</returns>
    public Digest32? Begin(uint uid, OperatorIdentity who, TimeSpan lifetime, long epoch)
    {
        Span<byte> bytes = stackalloc byte[Digest32.Length];
        randomness.Fill(bytes);
        long now = clock.BootMs;
        lock (_gate)
        {
            if (epoch != _epoch)
                return null;
            foreach ((Digest32 hash, Session session) in _open)
            {
                if (now >= session.EndsMs)
                    _open.Remove(hash);
            }
            Digest32[] mine = [.. _open.Where(s => s.Value.Uid == uid).OrderBy(s => s.Value.EndsMs).Select(s => s.Key)];
            if (mine.Length >= OfUidMax)
                _open.Remove(mine[0]);
            if (_open.Count >= OpenMax)
                return null;
            _open[Digest32.Sha256(bytes)] = new Session(uid, who, now + (long)lifetime.TotalMilliseconds);
        }
        return Digest32.From(bytes);
    }

    /// <summary>Who sends this text as a session; nobody if it is not one of this user, or has ended.</summary>
    public OperatorIdentity? Find(uint uid, string text)
    {
        if (!Digest32.TryParse(text, out Digest32 session))
            return null;
        Span<byte> bytes = stackalloc byte[Digest32.Length];
        session.CopyTo(bytes);
        lock (_gate)
        {
            return _open.TryGetValue(Digest32.Sha256(bytes), out Session? found)
                && found.Uid == uid && clock.BootMs < found.EndsMs
                ? found.Operator
                : null;
        }
    }

    public void EndAll()
    {
        lock (_gate)
        {
            _open.Clear();
            _epoch++;
        }
    }
}
