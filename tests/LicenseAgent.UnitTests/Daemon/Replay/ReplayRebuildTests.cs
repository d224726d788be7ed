using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.UnitTests.Daemon.Audit;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Replay;

/// <summary>What a new start remembers (I11).</summary>
public sealed class ReplayRebuildTests
{
    private const long T = 1_000_000;

    [Fact]
    public async Task In_the_same_boot_the_count_goes_on()
    {
        DiskOfAudit disk = await LogAsync("boot-a", (T, 1));
        using ReplayGuard guard = Rebuild(disk, "boot-a", T + 500_000);
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), T + 899_999));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(1), T + 900_000));
    }

    [Fact]
    public async Task In_another_boot_each_of_the_last_900_s_is_held_for_900_s_more()
    {
        DiskOfAudit disk = await LogAsync("boot-a", (T, 1), (T + 100_000, 2), (T + 1_000_000, 3));
        using ReplayGuard guard = Rebuild(disk, "boot-b", 20_000);
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(1), 20_000));
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(2), 919_999));
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(3), 919_999));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(2), 920_000));
    }

    [Fact]
    public async Task A_nonce_from_two_boots_ago_is_held_while_900_s_may_not_have_passed()
    {
        DiskOfAudit first = await LogAsync("boot-a", (T, 1));
        AuditBench second = await AuditBench.OpenAsync(first, new StandingClock("boot-b", 300_000));
        second.Hand.RunAll();
        using ReplayGuard guard = Rebuild(second.Disk, "boot-c", 10_000);
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), 10_000));
    }

    [Fact]
    public async Task A_nonce_from_two_boots_ago_is_forgotten_once_the_later_boot_ran_900_s()
    {
        DiskOfAudit first = await LogAsync("boot-a", (T, 1));
        AuditBench second = await AuditBench.OpenAsync(first, new StandingClock("boot-b", 906_000));
        second.Hand.RunAll();
        using ReplayGuard guard = Rebuild(second.Disk, "boot-b", 906_000);
        Assert.Equal(0, guard.Count);
    }

    [Fact]
    public async Task A_wall_clock_that_jumps_changes_nothing()
    {
        // Records carry trusted now as well; only their boot time counts.
        DiskOfAudit disk = await LogAsync("boot-a", (T, 1));
        string text = System.Text.Encoding.UTF8.GetString(disk.Content);
        Assert.Contains("\"time\":\"2027", text, StringComparison.Ordinal);
        text = text.Replace("\"time\":\"2027", "\"time\":\"1970", StringComparison.Ordinal);
        disk.Content = System.Text.Encoding.UTF8.GetBytes(text);
        using ReplayGuard guard = Rebuild(disk, "boot-a", T + 1);
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), T + 1));
    }

    [Fact]
    public async Task Nonces_of_the_chain_before_a_new_identity_are_remembered()
    {
        AuditBench bench = await AuditBench.OpenAsync(
            clock: new StandingClock("boot-a", T), identity: AuditIdentity.None);
        bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(1)));
        Task<LicenseAgent.Protocol.Messages.AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        bench.Hand.RunAll();
        await adopting;
        using ReplayGuard guard = Rebuild(bench.Disk.AfterKill(), "boot-a", T + 1);
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), T + 1));
    }

    [Fact]
    public async Task Nonces_of_the_chain_before_are_remembered_when_the_new_one_begins_with_a_gap()
    {
        AuditBench bench = await AuditBench.OpenAsync(
            clock: new StandingClock("boot-a", T), identity: AuditIdentity.None);
        bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(1)));
        bench.Hand.RunAll();
        bench.Disk.Free = 0;
        bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(2)));
        bench.Hand.RunAll();
        bench.Disk.Free = long.MaxValue;
        Task<LicenseAgent.Protocol.Messages.AuditPoint> adopting = bench.Log.AdoptAsync(AuditBench.Identity);
        bench.Hand.RunAll();
        await adopting;
        Assert.Equal([], bench.Verify().Findings);
        using ReplayGuard guard = Rebuild(bench.Disk.AfterKill(), "boot-a", T + 1);
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), T + 1));
    }

    // A kill at the write of the record that makes the file full; the first record of the next start closes it.
    [Fact]
    public async Task A_log_that_is_full_is_read_before_the_first_record_closes_it()
    {
        DiskOfAudit disk = await LogAsync("boot-a", (T, 1), (T + 1, 2));
        var clock = new StandingClock("boot-a", T + 2);
        HandTurned hand = new();
        var ports = new AuditLogPorts(
            disk, hand, clock, hand, _ => AuditBench.Start, LicenseAgent.Protocol.Jose.Es256.Verify);
        using ReplayGuard guard = ReplayGuardTests.Guard();
        int? queued = null;
        await AuditLog.OpenAsync(
            ports, AuditBench.Identity, AuditBench.Config with { SegmentBytes = 64 }, "0.1.0",
            atRest: file =>
            {
                ReplayRebuild.Run(file, guard, clock);
                queued = hand.Waiting;
            });
        hand.RunAll();
        Assert.Equal(["audit-1.log", "audit.log"], disk.Segments().Select(s => s.Name));
        Assert.Equal((0, 2), (queued, guard.Count));
    }

    [Fact]
    public async Task Damaged_lines_cost_their_own_nonce_and_no_other()
    {
        DiskOfAudit disk = await LogAsync("boot-a", (T, 1), (T + 1, 2), (T + 2, 3));
        byte[] content = disk.Content;
        int at = content.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(AuditBench.Nonce(2).ToString()));
        content[at] = (byte)'!';
        disk.Content = content;
        using ReplayGuard guard = Rebuild(disk, "boot-a", T + 3);
        Assert.Equal(2, guard.Count);
    }

    [Fact]
    public void More_than_fit_are_never_forgotten_early()
    {
        using ReplayGuard guard = ReplayGuardTests.Guard();
        guard.Restore(Enumerable.Range(0, ReplayGuard.TotalMax + 1)
            .Select(i => new RememberedNonce((uint)(i % 7), AuditBench.Nonce(i), T)));
        Assert.Equal(ReplayVerdict.Full, guard.TryAccept(99, AuditBench.Nonce(-1), T + 899_999));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(99, AuditBench.Nonce(-1), T + 900_000));
    }

    private static ReplayGuard Rebuild(DiskOfAudit disk, string boot, long now)
    {
        ReplayGuard guard = ReplayGuardTests.Guard();
        ReplayRebuild.Run(disk, guard, new StandingClock(boot, now));
        return guard;
    }

    private static async Task<DiskOfAudit> LogAsync(string boot, params (long UpMs, int Nonce)[] validations)
    {
        var clock = new StandingClock(boot, validations[0].UpMs);
        AuditBench bench = await AuditBench.OpenAsync(clock: clock);
        foreach ((long upMs, int nonce) in validations)
        {
            clock.BootMs = upMs;
            bench.Log.Append(AuditBench.Validation(1000, AuditBench.Nonce(nonce)));
            bench.Hand.RunAll();
        }
        return bench.Disk.AfterKill();
    }
}
