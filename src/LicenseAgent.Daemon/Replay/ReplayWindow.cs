namespace LicenseAgent.Daemon.Replay;

/// <summary>
/// The fingerprints of one UID: in the order they came, and in a table for look-up (open addressing, linear probing,
/// at most seven eighths full, grown by doubling). Fingerprints are uniformly random, so their low bits are the slot.
/// </summary>
internal sealed class ReplayWindow
{
    private const int FirstSlots = 64;
    private const int ChunkMin = 64;
    private const int ChunkMax = 2048;

    private readonly Queue<Chunk> _chunks = new();
    private ulong[] _slots = new ulong[FirstSlots];
    private Chunk? _newest;
    private Chunk? _spare;

    public int Count { get; private set; }

    public bool Contains(ulong fingerprint) => _slots[SlotOf(fingerprint)] == fingerprint;

    /// <summary>Adds a fingerprint that is not there. A time before the last one counts as that.</summary>
    public void Add(ulong fingerprint, long bootMs)
    {
        if ((Count + 1) * 8L > _slots.Length * 7L)
            Grow();
        _slots[SlotOf(fingerprint)] = fingerprint;
        Count++;
        long atMs = Math.Max(bootMs, _newest?.LastMs ?? long.MinValue);
        if (_newest?.Takes(atMs) != true)
        {
            _newest = _spare ?? new Chunk(NextChunk);
            _spare = null;
            _newest.Reset(atMs);
            _chunks.Enqueue(_newest);
        }
        _newest.Add(fingerprint, atMs);
    }

    /// <summary>Forgets what came at or before a time; returns how many.</summary>
    public int Forget(long untilMs)
    {
        int before = Count;
        while (_chunks.TryPeek(out Chunk? oldest))
        {
            while (oldest.TryTake(untilMs, out ulong fingerprint))
            {
                Remove(SlotOf(fingerprint));
                Count--;
            }
            if (!oldest.IsEmpty || (ReferenceEquals(oldest, _newest) && !oldest.IsFull))
                break;
            _chunks.Dequeue();
            if (ReferenceEquals(oldest, _newest))
                _newest = null;
            _spare = oldest.Size >= NextChunk ? oldest : null;
        }
        return before - Count;
    }

    /// <summary>As much again as there is, within bounds: who asks once an hour holds no room for a rush.</summary>
    private int NextChunk => Math.Clamp(Count, ChunkMin, ChunkMax);

    /// <summary>Where the fingerprint is, or where it would go.</summary>
    private int SlotOf(ulong fingerprint)
    {
        int slot = HomeOf(fingerprint);
        while (_slots[slot] != 0 && _slots[slot] != fingerprint)
            slot = (slot + 1) & (_slots.Length - 1);
        return slot;
    }

    private int HomeOf(ulong fingerprint) => (int)(fingerprint & (ulong)(_slots.Length - 1));

    /// <summary>Closes the gap, so that no probe ends early: later ones move up where their place allows.</summary>
    private void Remove(int gap)
    {
        int mask = _slots.Length - 1;
        for (int slot = (gap + 1) & mask; _slots[slot] != 0; slot = (slot + 1) & mask)
        {
            int home = HomeOf(_slots[slot]);
            if (((slot - home) & mask) < ((slot - gap) & mask))
                continue;
            _slots[gap] = _slots[slot];
            gap = slot;
        }
        _slots[gap] = 0;
    }

    private void Grow()
    {
        ulong[] old = _slots;
        _slots = new ulong[old.Length * 2];
        foreach (ulong fingerprint in old)
        {
            if (fingerprint != 0)
                _slots[SlotOf(fingerprint)] = fingerprint;
        }
    }

    /// <summary>
    /// A piece of the queue: small enough that growing never copies what is there, 12 bytes a fingerprint.
    /// </summary>
    private sealed class Chunk(int size)
    {
        private readonly ulong[] _fingerprints = new ulong[size];
        private readonly uint[] _afterMs = new uint[size];
        private long _firstMs;
        private int _begin;
        private int _end;

        public int Size => size;

        public long LastMs { get; private set; }

        public bool IsEmpty => _begin == _end;

        public bool IsFull => _end == size;

        public void Reset(long firstMs) => (_begin, _end, _firstMs, LastMs) = (0, 0, firstMs, firstMs);

        /// <summary>Whether there is room, and the time is not too far from the first.</summary>
        public bool Takes(long atMs) => !IsFull && atMs - _firstMs <= uint.MaxValue;

        public void Add(ulong fingerprint, long atMs)
        {
            LastMs = atMs;
            (_fingerprints[_end], _afterMs[_end]) = (fingerprint, (uint)(atMs - _firstMs));
            _end++;
        }

        public bool TryTake(long untilMs, out ulong fingerprint)
        {
            bool take = _begin < _end && _firstMs + _afterMs[_begin] <= untilMs;
            fingerprint = take ? _fingerprints[_begin++] : 0;
            return take;
        }
    }
}
