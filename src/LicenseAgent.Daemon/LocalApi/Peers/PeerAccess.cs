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

    private volatile Lists _lists;

    private PeerAccess(Lists lists) => _lists = lists;

    /// <summary>Applications. A group counts when it is the peer's effective one.</summary>
    public static PeerAccess Of(PosConfig pos) => new(Lists.Of(pos));

    /// <summary>Operators; what each may do is looked up at every call.</summary>
    public static PeerAccess Of(ManagementConfig management) => new(Lists.Of(management));

    /// <summary>Other lists from now on, for connections that are open as well.</summary>
    public void Use(PosConfig pos) => _lists = Lists.Of(pos);

    public void Use(ManagementConfig management) => _lists = Lists.Of(management);

    public bool Allows(PeerCredentials peer)
    {
        Lists lists = _lists;
        return lists.Uids.Contains(peer.Uid)
            || (peer.Uid is not (OverflowUid or RootUid) && lists.Gids.Contains(peer.Gid));
    }

    private sealed record Lists(FrozenSet<uint> Uids, FrozenSet<uint> Gids)
    {
        public static Lists Of(PosConfig pos) => new(pos.AllowedUids.ToFrozenSet(), pos.AllowedGids.ToFrozenSet());

        public static Lists Of(ManagementConfig management) =>
            new(management.AdminUids.Concat(management.ViewerUids).ToFrozenSet(), []);
    }
}
