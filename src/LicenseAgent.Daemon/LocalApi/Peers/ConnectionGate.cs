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
}

/// <summary>Counts the connections of one socket, in all and by UID. One lock, held for a look-up.</summary>
internal sealed class ConnectionGate(PeerAccess access, int perUid, int inAll)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, int> _byUid = [];
    private int _total;

    public Admission Enter(PeerCredentials peer)
    {
        if (!access.Allows(peer))
            return Admission.NotAllowed;
        lock (_gate)
        {
            int mine = _byUid.GetValueOrDefault(peer.Uid);
            if (mine >= perUid || _total >= inAll)
                return Admission.TooMany;
            _byUid[peer.Uid] = mine + 1;
            _total++;
            return Admission.Admitted;
        }
    }

    public void Leave(PeerCredentials peer)
    {
        lock (_gate)
        {
            // Entries live as long as a connection, so the map is bounded by the connections.
            if (--_byUid[peer.Uid] == 0)
                _byUid.Remove(peer.Uid);
            _total--;
        }
    }
}
