using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>The simulated disk keeps what was synced, and no more than it promised of the rest.</summary>
public sealed class SimDiskTests
{
    private readonly SimDisk _disk = new();

    [Fact]
    public void A_finished_replace_survives_every_power_cut()
    {
        for (ulong seed = 0; seed < 50; seed++)
        {
            SimDisk disk = new();
            Do(disk.Replace("a", [1]));
            Do(disk.Replace("a", [2]));
            disk.PowerCut(SimRandom.Of(seed, "t", "cut"));
            Assert.Equal([2], disk.Seen("a"));
        }
    }

    [Fact]
    public void A_replace_cut_at_any_step_leaves_the_old_file_or_the_new_one()
    {
        HashSet<byte> seen = [];
        for (int steps = 0; steps <= 4; steps++)
        {
            for (ulong seed = 0; seed < 20; seed++)
            {
                SimDisk disk = new();
                Do(disk.Replace("a", [1]));
                Do(disk.Replace("a", [2]), steps);
                disk.PowerCut(SimRandom.Of(seed, "t", "cut"));
                seen.Add(Assert.Single(disk.Seen("a")!));
            }
        }

        Assert.Equal(new byte[] { 1, 2 }, seen.Order());
    }

    [Fact]
    public void A_file_without_its_directory_entry_synced_can_be_gone()
    {
        Effect<bool> write = _disk.Write("a", [1]);
        Do(write, 2);
        Assert.Null(_disk.Durable("a"));
        Assert.Equal([1], _disk.Seen("a"));
    }

    [Fact]
    public void A_failed_fsync_leaves_no_file_under_the_name()
    {
        Do(_disk.Replace("a", [1]));
        _disk.Troubles.FailSyncs = true;
        Assert.Throws<StorageException>(() => Do(_disk.Replace("a", [2])));
        Assert.Equal([1], _disk.Seen("a"));
    }

    [Fact]
    public void Appends_of_the_log_beyond_the_last_fsync_can_be_lost_and_nothing_before_it()
    {
        HashSet<int> lengths = [];
        for (ulong seed = 0; seed < 100; seed++)
        {
            SimRandom chance = SimRandom.Of(seed, "t", "cut");
            SimAudit audit = new(new DiskTroubles());
            audit.Append("one\n"u8, chance);
            audit.Sync(4);
            audit.Append("two\n"u8, chance);
            audit.PowerCut(chance);
            lengths.Add(audit.Newest.Length);
        }

        Assert.Equal(new[] { 4, 5, 6, 7, 8 }, lengths.Order());
    }

    [Fact]
    public void Pages_of_a_failed_fsync_are_not_on_the_disk_whatever_a_later_one_says()
    {
        SimRandom chance = SimRandom.Of(1, "t", "cut");
        DiskTroubles troubles = new();
        SimAudit audit = new(troubles);
        audit.Append("one\n"u8, chance);
        troubles.FailSyncs = true;
        Assert.Throws<StorageException>(() => audit.Sync(4));
        troubles.FailSyncs = false;
        audit.Sync(4);
        audit.PowerCut(chance);
        Assert.Equal([0, 0, 0, 0], audit.Newest.ToArray());
    }

    private static void Do(Effect<bool> effect, int steps = int.MaxValue)
    {
        foreach (Action step in effect.Steps.Take(steps))
        {
            step();
        }
    }
}
