namespace LicenseAgent.Daemon.Replay;

/// <summary>
/// The fingerprints of one UID: in the order they came, and in a table for look-up (open addressing, linear probing,
/// at most four fifths full, grown by doubling). Fingerprints are uniformly random, so their low bits are the slot.
/// </summary>
internal sealed class ReplayWindow
{
    private const int FirstSlots = 64;

    private readonly Queue<Chunk> _chunks = new();
    private ulong[] _slots = new ulong[FirstSlots];
    private Chunk? _newest;
    private Chunk? _spare;

    public int Count { get; private set; }

    public bool Contains(ulong fingerprint) => _slots[SlotOf(fingerprint)] == fingerprint;

    /// <summary>Adds a fingerprint that is not there. A time before the last one counts as that.</summary>
    public void Add(ulong fingerprint, long bootMs)
    {
        if ((Count + 1) * 5L > _slots.Length * 4L)
            Grow();
        _slots[SlotOf(fingerprint)] = fingerprint;
        Count++;
        if (_newest is null || _newest.End == Chunk.Size)
        {
            long last = _newest?.LastMs ?? long.MinValue;
            _newest = _spare ?? new Chunk();
            _spare = null;
            _newest.Reset(last);
            _chunks.Enqueue(_newest);
        }
        _newest.Add(fingerprint, bootMs);
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
            if (oldest.Begin < Chunk.Size)
                break;
            _chunks.Dequeue();
            if (ReferenceEquals(oldest, _newest))
                _newest = null;
            _spare = oldest;
        }
        return before - Count;
    }

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

    /// <summary>A piece of the queue: small enough that growing never copies what is there.</summary>
    private sealed class Chunk
    {
        public const int Size = 2048;

        private readonly (ulong Fingerprint, long BootMs)[] _entries = new (ulong, long)[Size];

        public int Begin { get; private set; }

        public int End { get; private set; }

        public long LastMs { get; private set; }

        public void Reset(long lastMs) => (Begin, End, LastMs) = (0, 0, lastMs);

        public void Add(ulong fingerprint, long bootMs)
        {
            LastMs = Math.Max(LastMs, bootMs);
            _entries[End++] = (fingerprint, LastMs);
        }

        public bool TryTake(long untilMs, out ulong fingerprint)
        {
            bool take = Begin < End && _entries[Begin].BootMs <= untilMs;
            fingerprint = take ? _entries[Begin++].Fingerprint : 0;
            return take;
        }
    }
}
