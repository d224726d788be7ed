using LicenseAgent.Daemon.Audit;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

public sealed class AuditLogTests
{
    [Fact]
    public async Task A_validation_is_answered_after_its_record_was_written_and_not_before()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        AuditTicket ticket = bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(1)));
        Assert.False(ticket.Batch.Written.IsCompleted);
        bench.Hand.RunAll();
        await ticket.Batch.Written;
        Assert.Equal(ticket.Seq, bench.Log.Written.Seq);
    }

    [Fact]
    public async Task Records_that_come_while_a_write_is_queued_share_it()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        for (int i = 0; i < 100; i++)
            bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(i)));
        Assert.Equal(1, bench.Hand.Waiting);
        bench.Hand.RunAll();
        Assert.Equal(1, bench.Disk.Appends);
        Assert.Equal(101, bench.Log.Written.Seq);
    }

    [Fact]
    public async Task A_point_that_may_leave_the_process_is_fsynced()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        bench.Log.Append(AuditBench.Entry("secret_staged", "op-1"));
        Task<AuditPoint> syncing = bench.Log.SyncAsync();
        Assert.Equal(0, bench.Log.Synced.Seq);
        bench.Hand.RunAll();
        AuditPoint point = await syncing;
        Assert.Equal(2, point.Seq);
        Assert.Equal(point, bench.Log.Synced);
        Assert.True(bench.Verify(new AuditAnchor("request", point)).Ok);
    }

    [Fact]
    public async Task What_nobody_waits_for_is_fsynced_by_the_timer()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(1)));
        bench.Hand.RunAll();
        Assert.Equal(0, bench.Log.Synced.Seq);
        Assert.True(bench.Hand.TimerIsArmed);
        bench.Hand.FireTimers();
        Assert.Equal(bench.Log.Written, bench.Log.Synced);
        Assert.False(bench.Hand.TimerIsArmed);
    }

    [Fact]
    public async Task What_is_written_while_an_fsync_runs_is_not_counted_as_covered_by_it()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        bench.Hand.RunAll();
        var gate = new TaskCompletionSource();
        bench.Disk.BeforeSync = () => gate.Task;
        bench.Hand.FireTimers();
        bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(1)));
        bench.Hand.RunAll();
        bench.Disk.BeforeSync = null;
        gate.SetResult();
        Assert.Equal(1, bench.Log.Synced.Seq);
        Assert.True(bench.Hand.TimerIsArmed);
    }

    [Fact]
    public async Task A_log_that_was_stopped_says_that_it_was_and_goes_on()
    {
        AuditBench first = await AuditBench.OpenAsync();
        Task<AuditPoint> stopping = first.Log.StopAsync();
        first.Hand.RunAll();
        AuditPoint end = await stopping;
        AuditBench second = await AuditBench.OpenAsync(first.Disk.AfterKill());
        second.Hand.RunAll();
        Assert.True(second.Opening.Clean);
        Assert.Equal(end, second.Opening.End);
        Assert.Equal(3, second.Verify().LastSeq);
    }

    [Fact]
    public async Task A_torn_tail_is_cut_and_said_so()
    {
        AuditBench first = await AuditBench.OpenAsync();
        first.Log.Append(AuditBench.Entry("mode_changed"));
        first.Hand.RunAll();
        DiskOfAudit disk = first.Disk.AfterKill();
        disk.Content = disk.Content[..^20];
        AuditBench second = await AuditBench.OpenAsync(disk);
        second.Hand.RunAll();
        Assert.False(second.Opening.Clean);
        Assert.True(second.Opening.Torn > 0);
        AuditVerifyResponse result = second.Verify();
        Assert.True(result.Ok);
        Assert.Equal(2, result.LastSeq);
        string said = $"\"clean\":false,\"continues\":1,\"torn_bytes\":{second.Opening.Torn}";
        Assert.Contains(said, second.Text, StringComparison.Ordinal);
    }
}
