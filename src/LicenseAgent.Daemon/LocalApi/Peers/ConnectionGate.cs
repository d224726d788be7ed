using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.LocalApi.Peers;

/// <summary>What happens to a new connection.</summary>
internal enum Admission
{
    /// <summary>Served; <see cref="ConnectionGate.Leave"/> when it is over.</summary>
    Admitted,

    /// <summary>Not a listed peer.</summary>
    NotAllowed,

    /// <summary>Listed, and over a limit.</summary>
    TooMany,

    /// <summary>Let in, and its calls come too fast.</summary>
    RateLimited,

    /// <summary>Was let in, and closed while idle: a user with fewer connections needed the place.</summary>
    MadeRoom,
}

/// <summary>The answer to a new connection.</summary>
/// <param name="Slot">When admitted.</param>
/// <param name="MadeRoom">Whose idle connection was closed for it.</param>
internal readonly record struct Entrance(Admission Admission, ConnectionSlot? Slot, PeerCredentials? MadeRoom = null);

/// <summary>
/// Counts the connections of one socket, in all and by UID. When all places are taken, the user with the most of them
/// gives one that is idle to a user who has at least two fewer: so no number of users with full hands keeps another one
/// out, and equals take nothing from each other. One lock, held for a look-up; in a full house for one look at each
/// user and at the connections of some.
/// <para>
/// A connection over which no request ever came counts against its user, and against nobody else, for up to half a
/// second after its end: setting one up costs far more than turning one away.
/// </para>
/// </summary>
internal sealed class ConnectionGate(PeerAccess access, int perUid, int inAll, TimeProvider time)
{
    // Connections that were closed for others and are still being taken down; they stand beyond the limit in all.
    private const int ClosingMax = 16;

    // Half of it up to the whole, so that places taken together do not become free together.
    private static readonly TimeSpan s_heldMax = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private readonly Dictionary<uint, HashSet<ConnectionSlot>> _byUid = [];
    private readonly Dictionary<uint, int> _heldByUid = [];
    private readonly PriorityQueue<uint, long> _held = new();
    private double _spread;
    private int _total;
    private int _closing;

    /// <param name="cut">Ends the connection, from any thread, without blocking.</param>
    public Entrance Enter(PeerCredentials peer, Action cut)
    {
        if (!access.Allows(peer))
            return new(Admission.NotAllowed, null);
        ConnectionSlot slot = new(peer, time, cut);
        ConnectionSlot? gone = null;
        lock (_gate)
        {
            FreeHeld_NeedsLock();
            int mine = _byUid.TryGetValue(peer.Uid, out HashSet<ConnectionSlot>? slots) ? slots.Count : 0;
            if (mine + _heldByUid.GetValueOrDefault(peer.Uid) >= perUid || (_total >= inAll && (gone = MakeRoom_NeedsLock(mine)) is null))
                return new(Admission.TooMany, null);
            if (slots is null)
                _byUid.Add(peer.Uid, slots = []);
            slots.Add(slot);
            _total++;
        }

        gone?.Cut();
        return new(Admission.Admitted, slot, gone?.Peer);
    }

    public void Leave(ConnectionSlot slot)
    {
        lock (_gate)
        {
            if (!TryRemove_NeedsLock(slot))
                _closing--;
            else if (!slot.HasBegun)
                Hold_NeedsLock(slot.Peer.Uid);
        }
    }

    // At most as many as a user may have connections.
    private void Hold_NeedsLock(uint uid)
    {
        FreeHeld_NeedsLock();
        _heldByUid[uid] = _heldByUid.GetValueOrDefault(uid) + 1;
        _spread = (_spread + 0.6180339887) % 1;
        double seconds = s_heldMax.TotalSeconds * (1 + _spread) / 2;
        _held.Enqueue(uid, time.GetTimestamp() + (long)(seconds * time.TimestampFrequency));
    }

    private void FreeHeld_NeedsLock()
    {
        long now = time.GetTimestamp();
        while (_held.TryPeek(out uint uid, out long until) && until <= now)
        {
            _held.Dequeue();
            if (--_heldByUid[uid] == 0)
                _heldByUid.Remove(uid);
        }
    }

    /// <summary>The longest idle connection of the greediest user who has one to give.</summary>
    private ConnectionSlot? MakeRoom_NeedsLock(int mine)
    {
        if (_closing >= ClosingMax)
            return null;
        foreach (HashSet<ConnectionSlot> theirs in _byUid.Values
            .Where(slots => slots.Count > mine + 1)
            .OrderByDescending(slots => slots.Count))
        {
            // It may have become busy since it was looked at; then the next one has to do.
            ConnectionSlot? closed = theirs
                .Where(slot => slot.IsIdle).OrderBy(slot => slot.Since).FirstOrDefault(slot => slot.TryClose());
            if (closed is null)
                continue;
            TryRemove_NeedsLock(closed);
            _closing++;
            return closed;
        }

        return null;
    }

    private bool TryRemove_NeedsLock(ConnectionSlot slot)
    {
        if (!_byUid.TryGetValue(slot.Peer.Uid, out HashSet<ConnectionSlot>? slots) || !slots.Remove(slot))
            return false;

        // Entries live as long as a connection, so the map is bounded by the connections.
        if (slots.Count == 0)
            _byUid.Remove(slot.Peer.Uid);
        _total--;
        return true;
    }
}
