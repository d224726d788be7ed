using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

/// <summary>Checkpoints, transitions completed after a crash, and the chain of another identity.</summary>
public sealed class AuditChainTests
{
    [Fact]
    public async Task A_checkpoint_signs_a_record_that_is_fsynced_and_verifies()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        bench.Log.Append(AuditBench.Entry("secret_staged", "op-1"));
        await bench.CheckpointAsync();
        AuditVerifyResponse result = bench.Verify();
        Assert.Equal([], result.Findings);
        Assert.Equal(1, result.Checkpoints);
        Assert.Equal(2, bench.Log.Synced.Seq);
    }

    [Fact]
    public async Task A_checkpoint_is_due_after_a_thousand_records_at_most_once_a_minute_and_hourly()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        bench.Clock.BootMs += 59_999;
        for (int i = 0; i < 1_000; i++)
            bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(i)));
        Assert.False(bench.Log.CheckpointIsDue);
        bench.Clock.BootMs += 1;
        Assert.True(bench.Log.CheckpointIsDue);
        await bench.CheckpointAsync();
        Assert.False(bench.Log.CheckpointIsDue);
        bench.Clock.BootMs += 3_600_000;
        Assert.False(bench.Log.CheckpointIsDue);
        bench.Log.Append(AuditBench.Entry("mode_changed"));
        Assert.True(bench.Log.CheckpointIsDue);
    }

    [Fact]
    public async Task How_long_a_checkpoint_is_due_is_known_after_a_restart()
    {
        AuditBench first = await AuditBench.OpenAsync();
        await first.CheckpointAsync();
        first.Log.Append(AuditBench.Entry("mode_changed"));
        first.Hand.RunAll();
        var clock = new StandingClock("boot-a", first.Clock.BootMs + 3_599_999);
        AuditBench second = await AuditBench.OpenAsync(first.Disk.AfterKill(), clock);
        Assert.False(second.Log.CheckpointIsDue);
        clock.BootMs++;
        Assert.True(second.Log.CheckpointIsDue);
    }

    [Fact]
    public async Task A_checkpoint_that_lags_too_far_is_not_written()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        bench.Hand.RunAll();
        const long Seq = 1 - AuditCheckpoint.MaxLag;
        var old = new AuditCheckpoint(AuditBench.AgentId, Seq, default, 1, 1, 1, AuditBench.Start);
        Assert.Null(bench.Log.AppendCheckpoint(old, "jws"u8));
    }

    [Fact]
    public async Task A_missed_checkpoint_is_said_and_tried_again_after_a_minute()
    {
        AuditBench bench = await AuditBench.OpenAsync();
        for (int i = 0; i < 1_000; i++)
            bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(i)));
        bench.Clock.BootMs += 60_000;
        bench.Log.AppendCheckpointMissed("tpm_unavailable");
        Assert.False(bench.Log.CheckpointIsDue);
        bench.Clock.BootMs += 60_000;
        Assert.True(bench.Log.CheckpointIsDue);
    }

    [Fact]
    public async Task With_a_new_identity_a_new_chain_begins_and_names_the_end_of_the_old()
    {
        AuditBench bench = await AuditBench.OpenAsync(identity: AuditIdentity.None);
        bench.Log.Append(AuditBench.Entry("management_called"));
        AuditPoint closed = new(2, default);
        Task<AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        bench.Hand.RunAll();
        AuditPoint begun = await adopting;
        Assert.Equal(1, begun.Seq);
        string name = Assert.Single(bench.Disk.ClosedNames);
        Assert.StartsWith("chain-", name, StringComparison.Ordinal);
        Assert.Contains($"\"closed\":\"{name}\",\"last_seq\":{closed.Seq},", bench.Text, StringComparison.Ordinal);
        Assert.Equal([], bench.Verify(new AuditAnchor("state", begun)).Findings);
        Assert.Equal(AuditBench.Identity, bench.Log.Identity);
    }

    [Fact]
    public async Task A_chain_before_enrolment_verifies_as_that()
    {
        AuditBench bench = await AuditBench.OpenAsync(identity: AuditIdentity.None);
        bench.Hand.RunAll();
        using var verifier = new AuditVerifier(new AuditTrust("", null, Es256.Verify, []));
        Assert.Equal([], new AuditReader(bench.Disk, () => bench.Log.Newest).Verify(verifier).Findings);
    }

    [Fact]
    public async Task Records_appended_while_a_chain_begins_go_where_they_belong()
    {
        AuditBench bench = await AuditBench.OpenAsync(identity: AuditIdentity.None);
        bench.Log.Append(AuditBench.Entry("management_called"));
        Task<AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        AuditTicket later = bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(1)));
        Task<AuditPoint> syncing = bench.Log.SyncAsync(later);
        bench.Hand.RunAll();
        await adopting;
        Assert.Equal(2, (await syncing).Seq);
        Assert.Equal([], bench.Verify().Findings);
    }

    [Fact]
    public async Task A_crash_between_identity_and_chain_is_made_up_for_at_the_start()
    {
        AuditBench before = await AuditBench.OpenAsync(identity: AuditIdentity.None);
        before.Hand.RunAll();
        AuditBench bench = await AuditBench.OpenAsync(before.Disk.AfterKill());
        bench.Hand.RunAll();
        Assert.Equal(0, bench.Opening.End.Seq);
        Assert.Equal(2, bench.Log.Written.Seq);
        Assert.Equal([], bench.Verify().Findings);
        Assert.Single(bench.Disk.ClosedNames);
    }

    [Fact]
    public async Task While_nobody_can_say_whose_it_is_the_chain_goes_on_as_it_is()
    {
        AuditBench before = await AuditBench.OpenAsync();
        before.Hand.RunAll();
        AuditBench bench = await AuditBench.OpenAsync(before.Disk.AfterKill(), identity: AuditIdentity.Unknown);
        bench.Hand.RunAll();
        Assert.Equal(before.Log.Written.Seq + 1, bench.Log.Written.Seq);
        Assert.Empty(bench.Disk.ClosedNames);
        Assert.Equal([], bench.Verify().Findings);
    }

    [Fact]
    public async Task Where_the_file_cannot_be_set_aside_the_chain_stays_what_it_was()
    {
        AuditBench bench = await AuditBench.OpenAsync(identity: AuditIdentity.None);
        bench.Hand.RunAll();
        bench.Disk.FailCuts = true;
        Task<AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        bench.Hand.RunAll();
        await Assert.ThrowsAsync<StorageException>(() => adopting);
        Assert.Equal(AuditIdentity.None, bench.Log.Identity);
        bench.Disk.FailCuts = false;
        bench.Log.Append(AuditBench.Entry("mode_changed"));
        bench.Hand.RunAll();
        using var verifier = new AuditVerifier(new AuditTrust("", null, Es256.Verify, []));
        Assert.Equal([], new AuditReader(bench.Disk, () => bench.Log.Newest).Verify(verifier).Findings);
    }

    [Fact]
    public async Task Whole_lines_that_are_no_records_stay_and_the_chain_goes_on_behind_the_last_that_is()
    {
        AuditBench first = await AuditBench.OpenAsync();
        first.Hand.RunAll();
        DiskOfAudit disk = first.Disk.AfterKill();
        disk.Content = [.. disk.Content, .. "rubbish\n"u8];
        AuditBench second = await AuditBench.OpenAsync(disk);
        second.Hand.RunAll();
        Assert.Equal(1, second.Opening.Damaged);
        AuditFinding finding = Assert.Single(second.Verify().Findings);
        Assert.Equal((2, "malformed"), (finding.Line, finding.Code));
    }
}
