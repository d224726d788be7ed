using System.Collections.Frozen;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.LocalApi.Peers;

/// <summary>Who may connect: deny by default, by the numbers the kernel gives at connect and nothing else.</summary>
internal sealed class PeerAccess
{
    // Processes of foreign user namespaces all show as the overflow UID, so nobody stands behind it; and being root is
    // no reason to hold a license. Neither is let in through a group.
    private const uint OverflowUid = 65534, RootUid = 0;

    private readonly FrozenSet<uint> _uids;
    private readonly FrozenSet<uint> _gids;

    private PeerAccess(IEnumerable<uint> uids, IEnumerable<uint> gids)
    {
        _uids = uids.ToFrozenSet();
        _gids = gids.ToFrozenSet();
    }

    /// <summary>Applications. A group counts when it is the peer's effective one.</summary>
    public static PeerAccess Of(PosConfig pos) => new(pos.AllowedUids, pos.AllowedGids);

    /// <summary>Operators; what each may do is looked up at every call.</summary>
    public static PeerAccess Of(ManagementConfig management) =>
        new(management.AdminUids.Concat(management.ViewerUids), []);

    public bool Allows(PeerCredentials peer) =>
        _uids.Contains(peer.Uid) || (peer.Uid is not (OverflowUid or RootUid) && _gids.Contains(peer.Gid));
}
