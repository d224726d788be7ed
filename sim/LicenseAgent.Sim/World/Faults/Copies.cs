using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World.Faults;

/// <summary>
/// Copies of disks, chips and the server, taken at one time and put back at another. A replica of the server answers in
/// its place for a while, and what it took is lost with it; one may stand in for another.
/// </summary>
internal sealed class Copies(SimWorld world)
{
    // Whose place each replica took, the latest last.
    private readonly List<StandIn> _replicas = [];

    public static bool Has(string kind) => kind is FaultKinds.DiskRestored or FaultKinds.TpmRolledBack
        or FaultKinds.ServerRestored or FaultKinds.ServerStale;

    public static bool IsOverAtOnce(string kind) => Has(kind) && kind != FaultKinds.ServerStale;

    /// <returns>What puts it back, which gives what ends that; <see langword="null"/>: there is nothing to copy.</returns>
    public Func<Action>? Take(PlannedFault fault)
    {
        if (fault.Kind is FaultKinds.ServerRestored or FaultKinds.ServerStale)
        {
            SortedDictionary<string, AgentBooks> backup = world.Server.Backup();
            return fault.Kind == FaultKinds.ServerStale
                ? () => Replace(backup)
                : () => Restore(backup);
        }

        SimTill till = world.Till(fault.Till);
        IReadOnlyDictionary<string, byte[]> files = till.Disk.Snapshot();
        TpmImage chip = till.Tpm.Snapshot();
        if (!files.ContainsKey("agent.json") || chip.Keys is null || Formats.AreNewer(till.Disk))
        {
            // A backup of a newer program's files would be put back together with that program.
            return null;
        }

        return () =>
        {
            till.PowerCut();
            if (fault.Kind == FaultKinds.DiskRestored)
            {
                till.Disk.Restore(files);
            }
            else
            {
                till.Tpm.Restore(chip);
            }

            till.Start();
            return () => { };
        };
    }

    private Action Restore(SortedDictionary<string, AgentBooks> backup)
    {
        world.Server.Restore(backup);
        if (_replicas.Count > 0)
        {
            // Whose place was taken was put back as well, and answers so once the place is given back.
            _replicas[0].Before = backup;
        }

        return () => { };
    }

    private Action Replace(SortedDictionary<string, AgentBooks> backup)
    {
        StandIn mine = new(world.Server.Backup());
        _replicas.Add(mine);
        world.Server.Restore(backup);
        return () =>
        {
            int at = _replicas.IndexOf(mine);
            _replicas.RemoveAt(at);
            if (at < _replicas.Count)
            {
                // The one that answers took its place; it gives it back to whom it took it from.
                _replicas[at].Before = mine.Before;
            }
            else
            {
                world.Server.Restore(mine.Before);
            }
        };
    }

    private sealed class StandIn(SortedDictionary<string, AgentBooks> before)
    {
        public SortedDictionary<string, AgentBooks> Before { get; set; } = before;
    }
}
