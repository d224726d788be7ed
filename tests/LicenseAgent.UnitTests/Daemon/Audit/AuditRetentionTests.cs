using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

/// <summary>Closed segments, and what becomes of them (I18, I19).</summary>
public sealed class AuditRetentionTests
{
    private const int Many = 20;

    private static readonly AuditConfig Small = AuditBench.Config with
    {
        SegmentBytes = 4_000,
        MaxBytes = 1 << 20,
        Retention = TimeSpan.FromDays(1),
    };

    [Fact]
    public async Task A_full_segment_is_closed_under_its_first_number_and_the_chain_runs_on()
    {
        AuditBench bench = await WrittenAsync(Small);
        Assert.Equal("audit-1.log", bench.Disk.ClosedNames[0]);
        Assert.True(bench.Disk.ClosedNames.Count > 1);
        Assert.All(bench.Disk.ClosedNames, name => Assert.InRange(bench.Disk.Closed(name).Length, 4_000, 5_500));
        Assert.Equal((true, 1L), (bench.Verify().Ok, bench.Verify().FirstSeq));
    }

    [Fact]
    public async Task Records_of_closed_segments_are_read_by_their_numbers()
    {
        AuditBench bench = await WrittenAsync(Small);
        var reader = new AuditReader(bench.Disk, () => bench.Log.Newest);
        AuditPage page = reader.Page(0, 1_000);
        Assert.Equal(bench.Log.Written.Seq, page.Records.Count);
        Assert.Equal(bench.Log.Written.Seq - 5, reader.Page(5, 1_000).Records.Count);
        Assert.Equal(bench.Log.Written, reader.Point(bench.Log.Written.Seq));
        Assert.Equal(2, reader.Point(2)?.Seq);
    }

    [Fact]
    public async Task A_segment_that_is_closed_while_it_is_read_is_read_to_its_end()
    {
        AuditBench bench = await AuditBench.OpenAsync(config: Small);
        bench.Hand.RunAll();
        AuditExtent before = bench.Log.Newest;
        bool first = true;
        var reader = new AuditReader(bench.Disk, () =>
        {
            AuditExtent now = first ? before : bench.Log.Newest;
            first = false;
            return now;
        });
        await WriteAsync(bench, Many);
        Assert.NotEqual(before.FirstSeq, bench.Log.Newest.FirstSeq);
        Assert.Single(reader.Page(0, 1_000).Records);
    }

    [Fact]
    public async Task A_segment_older_than_the_retention_is_deleted_once_the_log_says_so_on_the_disk()
    {
        AuditBench bench = await WrittenAsync(Small);
        bench.Disk.FailMoves = true;
        string oldest = bench.Disk.ClosedNames[0];
        await PassAsync(bench, TimeSpan.FromDays(2));
        Assert.Contains("\"event\":\"segment_retired\",\"op\":\"segment-1\"", bench.Text, StringComparison.Ordinal);
        Assert.Contains(oldest, bench.Disk.ClosedNames);
        bench.Disk.FailMoves = false;
        bench.Log.AppendCheckpointMissed("no TPM");
        await PassAsync(bench, TimeSpan.FromHours(1));
        Assert.Empty(bench.Disk.ClosedNames);
        Assert.Equal([], bench.Verify().Findings);
        Assert.True(bench.Verify().FirstSeq > 1);
    }

    [Fact]
    public async Task What_cannot_be_deleted_is_said_once()
    {
        AuditBench bench = await WrittenAsync(Small);
        bench.Disk.FailMoves = true;
        await PassAsync(bench, TimeSpan.FromDays(2));
        await PassAsync(bench, TimeSpan.FromHours(1));
        Assert.Single(bench.Text.Split("segment_retirement_failed")[1..]);
    }

    [Fact]
    public async Task While_all_are_larger_than_the_limit_the_oldest_are_deleted()
    {
        AuditBench bench = await WrittenAsync(Small with { MaxBytes = 9_000 });
        int before = bench.Disk.ClosedNames.Count;
        await PassAsync(bench, TimeSpan.FromHours(1));
        Assert.True(bench.Disk.ClosedNames.Count < before);
        Assert.InRange(bench.Disk.Segments().Sum(s => s.Length), 1, 9_000);
        Assert.Equal([], bench.Verify().Findings);
    }

    [Fact]
    public async Task What_the_replay_guard_would_read_is_kept_whatever_its_size()
    {
        AuditBench bench = await WrittenAsync(Small with { MaxBytes = 9_000 });
        await PassAsync(bench, TimeSpan.FromMinutes(14));
        Assert.Equal("audit-1.log", bench.Disk.ClosedNames[0]);
    }

    [Fact]
    public async Task A_power_cut_between_the_record_and_the_deletion_leaves_a_whole_log()
    {
        AuditBench bench = await WrittenAsync(Small);
        bench.Disk.FailMoves = true;
        await PassAsync(bench, TimeSpan.FromDays(2));
        AuditBench after = await AuditBench.OpenAsync(
            bench.Disk.AfterPowerCut(new Random(1)), new StandingClock("boot-b", 200_000_000), config: Small);
        Assert.Equal(1, after.Verify().FirstSeq);
        await PassAsync(after, TimeSpan.Zero);
        Assert.Equal([], after.Verify().Findings);
        Assert.True(after.Verify().FirstSeq > 1);
    }

    [Theory]
    [InlineData(CloseFault.BetweenNames, false)]
    [InlineData(CloseFault.BetweenNames, true)]
    [InlineData(CloseFault.DirectoryNotDurable, false)]
    [InlineData(CloseFault.DirectoryNotDurable, true)]
    internal async Task Killed_or_cut_off_while_closing_the_log_is_whole_and_goes_on(CloseFault fault, bool powerCut)
    {
        for (int seed = 0; seed < 8; seed++)
        {
            AuditBench bench = await AuditBench.OpenAsync(config: Small);
            bench.Disk.FailCloses = fault;
            await WriteAsync(bench, Many);
            AuditPoint synced = await SyncedAsync(bench);
            DiskOfAudit left = powerCut ? bench.Disk.AfterPowerCut(new Random(seed)) : bench.Disk.AfterKill();
            AuditBench after = await AuditBench.OpenAsync(left, config: Small);
            Assert.Equal(synced, after.Opening.End);
            await WriteAsync(after, Many);
            Assert.Equal([], after.Verify(new AuditAnchor("request", synced)).Findings);
            Assert.Equal(1, after.Verify().FirstSeq);
        }
    }

    [Fact]
    public async Task A_file_that_cannot_be_closed_goes_on_and_the_log_says_so_once()
    {
        AuditBench bench = await AuditBench.OpenAsync(config: Small);
        bench.Disk.FailCloses = CloseFault.BetweenNames;
        await WriteAsync(bench, Many);
        bench.Clock.BootMs += 60_000;
        await WriteAsync(bench, Many);
        Assert.Null(bench.Log.Failing);
        Assert.Single(bench.Text.Split("segment_close_failed")[1..]);
        bench.Disk.FailCloses = CloseFault.None;
        bench.Clock.BootMs += 60_000;
        await WriteAsync(bench, 1);
        Assert.True(bench.Disk.Closed("audit-1.log").Length > 8_000);
        Assert.Equal([], bench.Verify().Findings);
    }

    [Fact]
    public async Task An_older_copy_that_an_interrupted_close_left_is_set_aside()
    {
        AuditBench bench = await AuditBench.OpenAsync(config: Small);
        (bench.Disk.FailCloses, bench.Disk.FailSyncs) = (CloseFault.BetweenNames, false);
        await WriteAsync(bench, Many);

        // A failed fsync makes a new file, and the second name stays with the old one.
        bench.Disk.FailSyncs = true;
        await WriteAsync(bench, 1);
        bench.Hand.FireTimers();
        bench.Disk.FailSyncs = false;
        await SyncedAsync(bench);
        await WriteAsync(bench, 1);
        bench.Disk.FailCloses = CloseFault.None;
        bench.Clock.BootMs += 60_000;
        await WriteAsync(bench, Many);
        Assert.Contains("chain-left-1.log", bench.Disk.ClosedNames);
        Assert.Equal([], bench.Verify().Findings);
    }

    [Fact]
    public async Task A_log_whose_beginning_was_retired_is_known_by_its_checkpoints()
    {
        AuditBench bench = await AuditBench.OpenAsync(config: Small);
        await bench.CheckpointAsync();
        for (int i = 0; i < 4; i++)
        {
            await WriteAsync(bench, Many);
            await bench.CheckpointAsync(generation: i + 2);
        }
        await PassAsync(bench, TimeSpan.FromDays(2));
        await WriteAsync(bench, Many);
        await bench.CheckpointAsync(generation: 9);
        await WriteAsync(bench, 3);
        DiskOfAudit disk = bench.Disk.AfterKill();
        AuditBench same = await AuditBench.OpenAsync(disk.AfterKill(), config: Small);
        same.Hand.RunAll();
        Assert.DoesNotContain("chain_started", same.Text, StringComparison.Ordinal);
        AuditBench other = await AuditBench.OpenAsync(
            disk, config: Small, identity: new AuditIdentity("pos-002", AuditBench.PublicKey));
        other.Hand.RunAll();
        Assert.Contains("\"seq\":1,", other.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(other.Disk.ClosedNames, n => n.StartsWith("audit-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task With_a_new_identity_all_files_of_the_old_chain_are_set_aside_and_found_again()
    {
        AuditBench bench = await WrittenAsync(Small, AuditIdentity.None);
        int files = bench.Disk.ClosedNames.Count + 1;
        Task<AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        bench.Hand.RunAll();
        await adopting;
        string last = bench.Text.Split("\"closed\":\"")[1].Split('"')[0];
        Assert.Equal(files, AuditSegments.SetAsideChain(bench.Disk, last).Count);
        Assert.All(bench.Disk.ClosedNames, n => Assert.StartsWith("chain-", n, StringComparison.Ordinal));
        Assert.Equal([], bench.Verify().Findings);
    }

    [Fact]
    public async Task A_chain_that_is_over_is_retired_too()
    {
        AuditBench bench = await WrittenAsync(Small, AuditIdentity.None);
        Task<AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        bench.Hand.RunAll();
        await adopting;
        await WriteAsync(bench, Many);
        await PassAsync(bench, TimeSpan.FromDays(2));
        string all = System.Text.Encoding.UTF8.GetString([.. bench.Disk.ClosedNames.SelectMany(bench.Disk.Closed)]);
        Assert.Contains("\"event\":\"chain_retired\"", all + bench.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(bench.Disk.ClosedNames, n => n.StartsWith("chain-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_ends_with_a_record_of_before_the_time_was_known_is_as_old_as_the_newest_in_it()
    {
        // A machine with another TPM starts without its state: trusted now is when the program was built.
        AuditBench bench = await WrittenAsync(Small with { SegmentBytes = 1 << 20 }, AuditIdentity.None);
        bench.Behind = TimeSpan.FromDays(100);
        await WriteAsync(bench, 2);
        Task<AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        bench.Hand.RunAll();
        await adopting;
        bench.Behind = TimeSpan.Zero;
        await PassAsync(bench, TimeSpan.FromHours(23));
        Assert.Single(bench.Disk.ClosedNames);
        await PassAsync(bench, TimeSpan.FromHours(2));
        Assert.Empty(bench.Disk.ClosedNames);
    }

    private static async Task<AuditBench> WrittenAsync(AuditConfig config, AuditIdentity? identity = null)
    {
        AuditBench bench = await AuditBench.OpenAsync(config: config, identity: identity);
        await WriteAsync(bench, 2 * Many);
        await SyncedAsync(bench);
        return bench;
    }

    private static async Task WriteAsync(AuditBench bench, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Task written = bench.Log.Append(AuditBench.Entry("mode_changed")).Batch.Written;
            await SettleAsync(bench);
            await written;
        }
    }

    private static async Task<AuditPoint> SyncedAsync(AuditBench bench)
    {
        Task<AuditPoint> synced = bench.Log.SyncAsync();
        bench.Hand.RunAll();
        return await synced;
    }

    /// <summary>Time passes, and the hourly look is made.</summary>
    private static async Task PassAsync(AuditBench bench, TimeSpan time)
    {
        bench.Clock.BootMs += (long)time.TotalMilliseconds;
        await SettleAsync(bench);
        bench.Hand.FireTimers();
        await SettleAsync(bench);
    }

    /// <summary>Who waits for an fsync goes on by itself, on another thread; what it queues is done here.</summary>
    private static async Task SettleAsync(AuditBench bench)
    {
        do
        {
            bench.Hand.RunAll();
            await Task.Yield();
        }
        while (!bench.Log.Retention.IsIdle || bench.Hand.Waiting > 0);
    }
}
