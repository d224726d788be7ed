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
/// </summary>
internal sealed class ConnectionGate(PeerAccess access, int perUid, int inAll, TimeProvider time)
{
    // Connections that were closed for others and are still being taken down; they stand beyond the limit in all.
    private const int ClosingMax = 16;

    private readonly Lock _gate = new();
    private readonly Dictionary<uint, HashSet<ConnectionSlot>> _byUid = [];
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
            int mine = _byUid.TryGetValue(peer.Uid, out HashSet<ConnectionSlot>? slots) ? slots.Count : 0;
            if (mine >= perUid || (_total >= inAll && (gone = MakeRoom_NeedsLock(mine)) is null))
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
