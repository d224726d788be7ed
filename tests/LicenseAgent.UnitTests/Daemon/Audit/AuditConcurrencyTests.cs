using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

/// <summary>Real threads on the real work queue.</summary>
public sealed class AuditConcurrencyTests
{
    private const int Threads = 8;
    private const int PerThread = 1_000;

    [Fact]
    public async Task Many_threads_share_writes_and_every_answer_is_in_a_chain_without_gap()
    {
        var disk = new DiskOfAudit();
        var clock = new StandingClock("boot-a", 100_000);
        var ports = new AuditLogPorts(
            disk, new PoolWorkItems(), clock, TimeProvider.System, _ => AuditBench.Start, Es256.Verify);
        AuditOpening opening =
            await AuditLog.OpenAsync(ports, AuditBench.Identity, AuditBench.Config, "0.1.0");
        using AuditLog log = opening.Log;

        // The first write waits until every thread has a record under way, so that there is something to share.
        using var together = new CountdownEvent(Threads);
        disk.OnAppend = () => together.Wait(TestContext.Current.CancellationToken);
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(
            async () =>
            {
                for (int i = 0; i < PerThread; i++)
                {
                    int nonce = (thread * PerThread) + i;
                    AuditTicket ticket = log.Append(AuditBench.Validation(1000, AuditBench.Nonce(nonce)));
                    if (i == 0)
                        together.Signal();
                    await ticket.Batch.Written;
                    Assert.True(log.Written.Seq >= ticket.Seq);
                }
            },
            TestContext.Current.CancellationToken)));
        AuditPoint end = await log.SyncAsync();

        AuditVerifyResponse result = AuditBench.Verify(disk, new AuditAnchor("request", end));
        Assert.Equal([], result.Findings);
        Assert.Equal((Threads * PerThread) + 1, result.LastSeq);
        Assert.True(disk.Appends < result.LastSeq, $"{disk.Appends} writes for {result.LastSeq} records.");
    }

    [Fact]
    public async Task Whoever_waits_for_an_fsync_among_many_gets_a_point_at_or_behind_its_record()
    {
        var disk = new DiskOfAudit();
        var clock = new StandingClock("boot-a", 100_000);
        var ports = new AuditLogPorts(
            disk, new PoolWorkItems(), clock, TimeProvider.System, _ => AuditBench.Start, Es256.Verify);
        AuditOpening opening =
            await AuditLog.OpenAsync(ports, AuditBench.Identity, AuditBench.Config, "0.1.0");
        using AuditLog log = opening.Log;
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(_ => Task.Run(
            async () =>
            {
                for (int i = 0; i < 200; i++)
                {
                    AuditTicket ticket = log.Append(AuditBench.Entry("management_called", "op"));
                    Assert.True((await log.SyncAsync(ticket)).Seq >= ticket.Seq);
                }
            },
            TestContext.Current.CancellationToken)));
        Assert.Equal(log.Written, log.Synced);
        Assert.True(disk.Syncs <= (Threads * 200) + 2);
    }
}
