using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

/// <summary>The log on a disk that is full or failing (I12, I18, I21).</summary>
public sealed class AuditFailureTests
{
    [Fact]
    public async Task On_a_full_disk_under_continue_validations_are_answered_and_counted()
    {
        AuditBench bench = await FullAsync(AuditFailure.Continue);
        Task[] answers = [.. Enumerable.Range(0, 5).Select(i => bench.Log.Append(Validation(i)).Batch.Written)];
        bench.Hand.RunAll();
        await Task.WhenAll(answers);
        Assert.Contains("No space", bench.Log.Failing, StringComparison.Ordinal);
        bench.Disk.Free = long.MaxValue;
        bench.Clock.BootMs += 1_000;
        await WriteAsync(bench, 10);
        Assert.Null(bench.Log.Failing);
        Assert.Contains("\"event\":\"audit_gap\"", bench.Text, StringComparison.Ordinal);
        Assert.Contains("\"from_up\":100000,\"to_up\":101000,\"records\":5,\"policy\":\"continue\"", bench.Text,
            StringComparison.Ordinal);
        Assert.True(bench.Verify().Ok);
    }

    [Fact]
    public async Task On_a_full_disk_under_refuse_validations_fail()
    {
        AuditBench bench = await FullAsync(AuditFailure.Refuse);
        Task answer = bench.Log.Append(Validation(1)).Batch.Written;
        bench.Hand.RunAll();
        var failure = await Assert.ThrowsAsync<StorageException>(() => answer);
        Assert.Equal("disk_full", failure.Reason);
    }

    [Theory]
    [InlineData("continue")]
    [InlineData("refuse")]
    public async Task On_a_full_disk_nothing_that_must_be_durable_succeeds(string policy)
    {
        AuditBench bench = await FullAsync(Enum.Parse<AuditFailure>(policy, ignoreCase: true));
        AuditTicket ticket = bench.Log.Append(AuditBench.Entry("secret_staged", "op-1"));
        Task<AuditPoint> syncing = bench.Log.SyncAsync(ticket);
        bench.Hand.RunAll();
        await Assert.ThrowsAsync<StorageException>(() => syncing);
        bench.Disk.Free = long.MaxValue;
        bench.Clock.BootMs += 1_000;
        await WriteAsync(bench, 1);

        // Its number was given to another record; the ticket knows better than the number.
        await Assert.ThrowsAsync<StorageException>(() => bench.Log.SyncAsync(ticket));
    }

    [Fact]
    public async Task While_it_fails_validations_try_again_once_a_second_and_other_records_each_time()
    {
        AuditBench bench = await FullAsync(AuditFailure.Continue);
        bench.Log.Append(Validation(1));
        bench.Hand.RunAll();
        int tries = bench.Disk.Appends;
        bench.Log.Append(Validation(2));
        Assert.Equal(0, bench.Hand.Waiting);
        bench.Log.Append(AuditBench.Entry("mode_changed"));
        bench.Hand.RunAll();
        bench.Clock.BootMs += 1_000;
        bench.Log.Append(Validation(3));
        bench.Hand.RunAll();
        Assert.Equal(tries + 2, bench.Disk.Appends);
    }

    [Fact]
    public async Task Part_of_a_line_left_by_a_full_disk_is_cut_before_the_next()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        await WriteAsync(bench, 1);
        long whole = bench.Log.Newest.Length;
        bench.Disk.Free = 100;
        bench.Log.Append(Validation(2));
        bench.Hand.RunAll();
        Assert.Equal(whole + 100, bench.Disk.Content.Length);
        Assert.Equal(whole, bench.Log.Newest.Length);
        bench.Disk.Free = long.MaxValue;
        bench.Clock.BootMs += 1_000;
        await WriteAsync(bench, 3);
        Assert.Equal([], bench.Verify().Findings);
        Assert.Equal(bench.Log.Newest.Length, bench.Disk.Content.Length);
    }

    [Fact]
    public async Task A_gap_that_cannot_be_told_yet_is_told_whole_later()
    {
        AuditBench bench = await FullAsync(AuditFailure.Continue);
        for (int i = 0; i < 4; i++)
        {
            bench.Log.Append(Validation(i));
            bench.Hand.RunAll();
            bench.Clock.BootMs += 1_000;
        }
        bench.Disk.Free = long.MaxValue;
        await WriteAsync(bench, 9);
        Assert.Contains("\"from_up\":100000,\"to_up\":104000,\"records\":4,", bench.Text, StringComparison.Ordinal);
        Assert.Single(bench.Text.Split("audit_gap")[1..]);
    }

    [Fact]
    public async Task A_gap_is_told_by_itself_when_there_is_room_again()
    {
        AuditBench bench = await FullAsync(AuditFailure.Continue);
        bench.Log.Append(Validation(1));
        bench.Hand.RunAll();
        bench.Hand.FireTimers();
        bench.Hand.RunAll();
        Assert.NotNull(bench.Log.Failing);

        bench.Disk.Free = long.MaxValue;
        bench.Hand.FireTimers();
        bench.Hand.RunAll();
        Assert.Null(bench.Log.Failing);
        Assert.Contains("\"records\":1,", Assert.Single(bench.Text.Split("audit_gap")[1..]), StringComparison.Ordinal);

        string told = bench.Text;
        bench.Hand.FireTimers();
        bench.Hand.RunAll();
        Assert.Equal(told, bench.Text);
    }

    [Fact]
    public async Task After_a_failed_fsync_no_point_leaves_until_a_new_file_holds_the_chain()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        await WriteAsync(bench, 1);
        bench.Disk.FailSyncs = true;
        Task<AuditPoint> syncing = bench.Log.SyncAsync();
        await Assert.ThrowsAsync<StorageException>(() => syncing);
        Assert.Contains("fsync", bench.Log.Failing, StringComparison.Ordinal);

        // fsync works again, and what it calls clean is not on the disk: the log must not believe it.
        bench.Disk.FailSyncs = false;
        Task<AuditPoint> again = bench.Log.SyncAsync();
        bench.Hand.RunAll();
        AuditPoint point = await again;
        Assert.Null(bench.Log.Failing);
        DiskOfAudit disk = bench.Disk.AfterPowerCut(new Random(1));
        Assert.Equal([], AuditBench.Verify(disk, new AuditAnchor("request", point)).Findings);
    }

    [Fact]
    public async Task Records_that_a_failed_fsync_lost_are_a_gap_and_the_chain_goes_on_before_them()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        Task<AuditPoint> first = bench.Log.SyncAsync();
        bench.Hand.RunAll();
        AuditPoint safe = await first;
        (bench.Disk.FailSyncs, bench.Disk.ForgetOnFailedSync) = (true, true);
        await WriteAsync(bench, 1);
        bench.Hand.FireTimers();
        bench.Disk.FailSyncs = false;
        Task<AuditPoint> again = bench.Log.SyncAsync();
        bench.Hand.RunAll();
        await Assert.ThrowsAsync<StorageException>(() => again);
        await WriteAsync(bench, 2);
        Assert.Contains("\"records\":1,", bench.Text, StringComparison.Ordinal);
        Assert.Equal([], bench.Verify(new AuditAnchor("request", safe)).Findings);
    }

    [Fact]
    public async Task A_record_written_in_the_moment_an_fsync_fails_is_still_waited_for_to_an_end()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        bench.Hand.RunAll();
        var gate = new TaskCompletionSource();
        bench.Disk.BeforeSync = () => gate.Task;
        bench.Hand.FireTimers();
        Task<AuditPoint> syncing = bench.Log.SyncAsync(bench.Log.Append(AuditBench.Entry("secret_staged", "op-1")));
        bench.Disk.FailSyncs = true;
        bench.Disk.OnAppend = gate.SetResult;
        bench.Hand.RunOne();
        (bench.Disk.FailSyncs, bench.Disk.BeforeSync, bench.Disk.OnAppend) = (false, null, null);
        bench.Hand.RunAll();
        Assert.Equal(2, (await syncing).Seq);
        Assert.Equal([], AuditBench.Verify(bench.Disk.AfterPowerCut(new Random(1))).Findings);
    }

    [Fact]
    public async Task While_not_even_a_new_file_can_be_made_every_fsync_fails()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        await WriteAsync(bench, 1);
        (bench.Disk.FailSyncs, bench.Disk.FailCuts) = (true, true);
        bench.Hand.FireTimers();
        for (int i = 0; i < 3; i++)
        {
            Task<AuditPoint> syncing = bench.Log.SyncAsync();
            bench.Hand.RunAll();
            await Assert.ThrowsAsync<StorageException>(() => syncing);
        }
        Assert.Equal(0, bench.Log.Synced.Seq);
    }

    [Fact]
    public async Task A_disk_that_cannot_be_written_at_start_does_not_keep_the_agent_from_starting()
    {
        AuditBench before = await AuditBench.OpenAsync();
        await WriteAsync(before, 1);
        DiskOfAudit disk = before.Disk.AfterKill();
        disk.Content = disk.Content[..^7];
        (disk.FailSyncs, disk.FailCuts, disk.Free) = (true, true, 0);
        AuditBench bench = await AuditBench.OpenAsync(disk);
        bench.Hand.RunAll();
        Assert.NotNull(bench.Log.Failing);
        (disk.FailSyncs, disk.FailCuts, disk.Free) = (false, false, long.MaxValue);
        bench.Clock.BootMs += 1_000;
        await WriteAsync(bench, 2);
        Assert.Equal([], bench.Verify().Findings);
        Assert.Null(bench.Log.Failing);
    }

    [Fact]
    public async Task A_batch_that_outgrows_its_limit_refuses_records_and_counts_them()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        int appended = 0;
        for (; bench.Log.Failing is null; appended++)
            bench.Log.Append(Validation(appended));
        Assert.InRange(appended, 1_000, 10_000);
        bench.Hand.RunAll();
        bench.Clock.BootMs += 1_000;
        await WriteAsync(bench, 1);
        Assert.Contains("\"records\":1,\"policy\":\"continue\",\"code\":\"audit_backlog\"", bench.Text,
            StringComparison.Ordinal);
        Assert.Equal([], bench.Verify().Findings);
    }

    [Fact]
    public async Task A_bug_in_the_writer_reaches_everybody_who_waits_and_who_comes_later()
    {
        AuditBench bench = await AuditBench.OpenAsync(onFailure: AuditFailure.Continue);
        bench.Disk.OnAppend = () => throw new InvalidOperationException("a bug");
        AuditTicket ticket = bench.Log.Append(Validation(1));
        Task<AuditPoint> syncing = bench.Log.SyncAsync(ticket);
        bench.Hand.RunAll();
        await Assert.ThrowsAsync<StorageException>(() => ticket.Batch.Written);
        await Assert.ThrowsAsync<StorageException>(() => syncing);
        var bug = Assert.Throws<LicenseAgent.Core.InvariantBroken>(() => bench.Log.Append(Validation(2)));
        Assert.Contains("a bug", bug.Message, StringComparison.Ordinal);
    }

    private static AuditedValidation Validation(int nonce) => AuditBench.Validation(1000, AuditBench.Nonce(nonce));

    private static async Task WriteAsync(AuditBench bench, int nonce)
    {
        AuditTicket ticket = bench.Log.Append(Validation(nonce));
        bench.Hand.RunAll();
        await ticket.Batch.Written;
    }

    private static async Task<AuditBench> FullAsync(AuditFailure policy)
    {
        AuditBench bench = await AuditBench.OpenAsync(onFailure: policy);
        bench.Hand.RunAll();
        bench.Disk.Free = 0;
        return bench;
    }
}
