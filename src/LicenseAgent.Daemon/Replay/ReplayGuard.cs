using System.Buffers.Binary;
using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Replay;

internal enum ReplayVerdict
{
    /// <summary>Seen for the first time, and remembered.</summary>
    Accepted,

    /// <summary>Seen before, less than 900 s ago.</summary>
    Replayed,

    /// <summary>No room to remember it, so it was not accepted.</summary>
    Full,
}

/// <summary>
/// Accepts a nonce once per UID within 900 s of CLOCK_BOOTTIME. Nothing is forgotten before its time: a full store
/// refuses. One lock; a call is a hash and two look-ups.
/// </summary>
internal sealed class ReplayGuard : IDisposable
{
    /// <summary>How long a nonce is remembered.</summary>
    public const long WindowMs = 900_000;

    /// <summary>Nonces of all UIDs together.</summary>
    public const int TotalMax = 1 << 21;

    private readonly Lock _gate = new();
    private readonly Dictionary<uint, ReplayWindow> _windows = [];
    private readonly IncrementalHash _sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    // key ‖ UID ‖ nonce, the whole input of a fingerprint.
    private readonly byte[] _input = new byte[KeyLength + 4 + Nonce16.Length];
    private readonly int _perUidMax;
    private int _total;
    private long _fullUntilMs = long.MinValue;

    private const int KeyLength = 32;

    /// <param name="rate">Requests a second and UID; a quarter more are remembered, for bursts.</param>
    public ReplayGuard(int rate, IRandomness randomness)
    {
        _perUidMax = (int)Math.Min(TotalMax, rate * (WindowMs / 1000) * 5 / 4);
        randomness.Fill(_input.AsSpan(0, KeyLength));
    }

    /// <summary>Nonces remembered now.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _total;
        }
    }

    /// <param name="bootMs">CLOCK_BOOTTIME, milliseconds; small steps back, as between threads, do no harm.</param>
    public ReplayVerdict TryAccept(uint uid, Nonce16 nonce, long bootMs)
    {
        lock (_gate)
        {
            if (bootMs < _fullUntilMs)
                return ReplayVerdict.Full;
            ReplayWindow? window = _windows.GetValueOrDefault(uid);
            if (window is not null)
                _total -= window.Forget(bootMs - WindowMs);
            ulong fingerprint = FingerprintOf_NeedsLock(uid, nonce);
            if (window?.Contains(fingerprint) == true)
                return ReplayVerdict.Replayed;
            if (window?.Count >= _perUidMax || (_total >= TotalMax && !MakeRoom_NeedsLock(bootMs)))
                return ReplayVerdict.Full;
            Add_NeedsLock(uid, fingerprint, bootMs);
            return ReplayVerdict.Accepted;
        }
    }

    /// <summary>
    /// Remembers nonces of before the start, in the order of the times they count from. More of them than fit, and
    /// nothing is accepted until the last of them has passed its window.
    /// </summary>
    public void Restore(IEnumerable<RememberedNonce> nonces)
    {
        lock (_gate)
        {
            foreach (RememberedNonce known in nonces)
            {
                if (_total >= TotalMax)
                {
                    _fullUntilMs = Math.Max(_fullUntilMs, known.BootMs + WindowMs);
                    continue;
                }
                ulong fingerprint = FingerprintOf_NeedsLock(known.Uid, known.Nonce);
                if (_windows.GetValueOrDefault(known.Uid)?.Contains(fingerprint) != true)
                    Add_NeedsLock(known.Uid, fingerprint, known.BootMs);
            }
        }
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_input);
        _sha256.Dispose();
    }

    private void Add_NeedsLock(uint uid, ulong fingerprint, long bootMs)
    {
        if (!_windows.TryGetValue(uid, out ReplayWindow? window))
            _windows.Add(uid, window = new ReplayWindow());
        window.Add(fingerprint, bootMs);
        _total++;
    }

    /// <summary>Lets every UID forget what has passed; a UID that asks no more would keep its room for ever.</summary>
    private bool MakeRoom_NeedsLock(long bootMs)
    {
        foreach ((uint uid, ReplayWindow window) in _windows)
        {
            _total -= window.Forget(bootMs - WindowMs);
            if (window.Count == 0)
                _windows.Remove(uid);
        }
        return _total < TotalMax;
    }

    /// <summary>
    /// SHA-256 of key ‖ UID ‖ nonce, the first 8 bytes: one block of fixed length behind a secret key of this start, so
    /// nobody can look for two nonces that collide, and a chance collision, which refuses an honest nonce, has odds
    /// of 2^-43 with a full store. A third of the price of HMAC.
    /// </summary>
    private ulong FingerprintOf_NeedsLock(uint uid, Nonce16 nonce)
    {
        BinaryPrimitives.WriteUInt32BigEndian(_input.AsSpan(KeyLength), uid);
        nonce.CopyTo(_input.AsSpan(KeyLength + 4));
        Span<byte> digest = stackalloc byte[32];
        _sha256.AppendData(_input);
        _sha256.GetHashAndReset(digest);

        // 0 marks a free slot.
        return Math.Max(1, BinaryPrimitives.ReadUInt64BigEndian(digest));
    }
}

/// <summary>A nonce accepted before the start.</summary>
/// <param name="BootMs">The time of this boot its window counts from; negative for before it.</param>
internal readonly record struct RememberedNonce(uint Uid, Nonce16 Nonce, long BootMs);
