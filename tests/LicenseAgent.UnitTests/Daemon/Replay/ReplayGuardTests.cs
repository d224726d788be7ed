using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.UnitTests.Daemon.Audit;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Replay;

public sealed class ReplayGuardTests
{
    private const long T = 5_000_000;

    [Fact]
    public void A_nonce_is_accepted_once_per_uid()
    {
        using ReplayGuard guard = Guard();
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(1), T));
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), T + 1));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1001, AuditBench.Nonce(1), T + 1));
    }

    [Fact]
    public void A_nonce_is_refused_until_900_s_have_passed_and_accepted_then()
    {
        using ReplayGuard guard = Guard();
        guard.TryAccept(1000, AuditBench.Nonce(1), T);
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), T + 899_999));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(1), T + 900_000));
    }

    [Fact]
    public void A_full_store_refuses_and_never_forgets_early()
    {
        using ReplayGuard guard = Guard(rate: 1);
        int accepted = 0;
        while (guard.TryAccept(1000, AuditBench.Nonce(accepted), T) == ReplayVerdict.Accepted)
            accepted++;
        Assert.Equal(1125, accepted);
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1001, AuditBench.Nonce(0), T));
        for (int i = 0; i < accepted; i++)
            Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(i), T + 899_999));
        Assert.Equal(ReplayVerdict.Full, guard.TryAccept(1000, AuditBench.Nonce(accepted), T + 899_999));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(accepted), T + 900_000));
    }

    [Fact]
    public void The_store_of_all_uids_together_is_bounded_and_frees_what_has_passed()
    {
        using ReplayGuard guard = Guard(rate: 1_000_000);
        for (int i = 0; i < ReplayGuard.TotalMax; i++)
            Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept((uint)(i % 2), AuditBench.Nonce(i), T));
        Assert.Equal(ReplayVerdict.Full, guard.TryAccept(7, AuditBench.Nonce(0), T + 899_999));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(7, AuditBench.Nonce(0), T + 900_000));
        Assert.Equal(1, guard.Count);
    }

    [Fact]
    public void Two_months_without_a_nonce_forget_nothing_early_and_keep_nothing()
    {
        const long Later = T + (60L * 24 * 3_600_000);
        using ReplayGuard guard = Guard();
        guard.TryAccept(1000, AuditBench.Nonce(1), T);
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(2), Later));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(1), Later));
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(2), Later + 899_999));
        Assert.Equal(ReplayVerdict.Accepted, guard.TryAccept(1000, AuditBench.Nonce(2), Later + 900_000));
        Assert.Equal(1, guard.Count);
    }

    [Fact]
    public void It_answers_as_a_plain_set_would_through_any_sequence()
    {
        var random = new Random(11);
        using ReplayGuard guard = Guard();
        var model = new Dictionary<int, long>();
        long now = T;
        for (int i = 0; i < 200_000; i++)
        {
            now += random.Next(50) == 0 ? random.Next(120_000) : random.Next(300);
            int nonce = random.Next(3_000);
            bool seen = model.TryGetValue(nonce, out long at) && now - at < ReplayGuard.WindowMs;
            ReplayVerdict expected = seen ? ReplayVerdict.Replayed : ReplayVerdict.Accepted;
            Assert.Equal((i, expected), (i, guard.TryAccept(1000, AuditBench.Nonce(nonce), now)));
            if (!seen)
                model[nonce] = now;
        }
    }

    [Fact]
    public void A_clock_read_before_another_threads_forgets_nothing_early()
    {
        using ReplayGuard guard = Guard();
        guard.TryAccept(1000, AuditBench.Nonce(1), T + 5);
        guard.TryAccept(1000, AuditBench.Nonce(2), T);
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(2), T + 899_999));
        Assert.Equal(ReplayVerdict.Replayed, guard.TryAccept(1000, AuditBench.Nonce(1), T + 900_004));
    }

    internal static ReplayGuard Guard(int rate = 200) => new(rate, new FixedRandomness());

    private sealed class FixedRandomness : IRandomness
    {
        public void Fill(Span<byte> destination) => new Random(7).NextBytes(destination);
    }
}
