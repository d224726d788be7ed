using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Tokens;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

public sealed class PeerLimitTests : IDisposable
{
    private readonly LocalBench _bench = new();
    private readonly BenchJournal _journal = new();

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData(1001, 1, true)]
    [InlineData(1002, 1, false)]
    [InlineData(1002, 50, true)]
    [InlineData(0, 50, false)]
    [InlineData(65534, 50, false)]
    public void A_peer_is_allowed_by_UID_or_group_but_root_and_nobody_by_UID_alone(uint uid, uint gid, bool allowed) =>
        Assert.Equal(allowed, PeerAccess.Of(Pos([1001], [50])).Allows(new PeerCredentials(uid, gid, 1)));

    [Theory]
    [InlineData(0)]
    [InlineData(65534)]
    public void Root_and_nobody_are_allowed_when_listed(uint uid) =>
        Assert.True(PeerAccess.Of(Pos([uid], [])).Allows(new PeerCredentials(uid, 1, 1)));

    [Fact]
    public void Nobody_is_allowed_by_default() =>
        Assert.False(PeerAccess.Of(Pos([], [])).Allows(new PeerCredentials(0, 0, 1)));

    [Fact]
    public void A_bucket_gives_its_burst_and_then_its_rate()
    {
        var rate = new RateLimit(perSecond: 10, burst: 3, _bench.Clock);
        Assert.Equal([0, 0, 0, 1], Enumerable.Range(0, 4).Select(_ => rate.Take(1)));
        _bench.Clock.BootMs += 99;
        Assert.Equal(1, rate.Take(1));
        _bench.Clock.BootMs += 1;
        Assert.Equal([0, 1], Enumerable.Range(0, 2).Select(_ => rate.Take(1)));
    }

    [Fact]
    public void Each_UID_has_a_bucket_of_its_own()
    {
        var rate = new RateLimit(1, 1, _bench.Clock);
        Assert.Equal([0, 1, 0], new uint[] { 1, 1, 2 }.Select(rate.Take));
    }

    [Fact]
    public void A_clock_that_stands_or_a_long_sleep_gives_no_more_than_the_burst()
    {
        var rate = new RateLimit(perSecond: 1_000_000, burst: 2, _bench.Clock);
        rate.Take(1);
        _bench.Clock.BootMs += long.MaxValue / 2;
        Assert.Equal([0, 0, 1], Enumerable.Range(0, 3).Select(_ => rate.Take(1)));
    }

    [Fact]
    public void More_UIDs_than_buckets_wait_until_one_has_filled_up()
    {
        var rate = new RateLimit(1, 1, _bench.Clock);
        for (uint uid = 0; uid < 1024; uid++)
            Assert.Equal(0, rate.Take(uid));
        Assert.Equal(1, rate.Take(5000));
        _bench.Clock.BootMs += 1000;
        Assert.Equal(0, rate.Take(5000));
    }

    [Fact]
    public void The_first_denial_is_recorded_at_once_and_the_rest_of_its_minute_as_a_number()
    {
        int counted = 0;
        var denials = new AccessDenials(DeniedAt.Pos, _journal.Journal, _bench.Clock, () => counted++);
        for (int i = 0; i < 10; i++)
            denials.Add(new PeerCredentials(9, 9, 1), Admission.NotAllowed);
        Assert.Equal([1L], Counts());
        _bench.Clock.BootMs += 59_999;
        denials.Turn();
        Assert.Equal([1L], Counts());
        _bench.Clock.BootMs += 1;
        denials.Turn();
        denials.Turn();
        Assert.Equal([1L, 9L], Counts());
        Assert.Equal(10, counted);
    }

    [Fact]
    public void Denials_of_another_UID_or_of_another_kind_are_recorded_apart()
    {
        var denials = new AccessDenials(DeniedAt.Pos, _journal.Journal, _bench.Clock, () => { });
        denials.Add(new PeerCredentials(9, 9, 1), Admission.NotAllowed);
        denials.Add(new PeerCredentials(8, 8, 1), Admission.NotAllowed);
        denials.Add(new PeerCredentials(8, 8, 1), Admission.TooMany);
        Assert.Equal(3, _journal.Notes.Count);
    }

    [Fact]
    public void A_listed_peer_with_too_many_connections_is_no_unauthorised_access()
    {
        int counted = 0;
        var denials = new AccessDenials(DeniedAt.Pos, _journal.Journal, _bench.Clock, () => counted++);
        denials.Add(new PeerCredentials(8, 8, 1), Admission.TooMany);
        Assert.Equal((0, 1), (counted, _journal.Notes.Count));
    }

    [Fact]
    public void A_flood_of_made_up_UIDs_fills_neither_memory_nor_log()
    {
        var denials = new AccessDenials(DeniedAt.Pos, _journal.Journal, _bench.Clock, () => { });
        for (uint uid = 0; uid < 1000; uid++)
            denials.Add(new PeerCredentials(uid, uid, 1), Admission.NotAllowed);
        Assert.Equal(256, _journal.Notes.Count);
        _bench.Clock.BootMs += 60_000;
        denials.Turn();
        Assert.Equal((257, (AuditValue)744L), (Counts().Length, Counts()[^1]));
    }

    [Fact]
    public void A_flood_of_tokens_costs_bounded_memory_and_keeps_the_one_in_use()
    {
        var tokens = new VerifiedTokens(generationBytes: 10 * Weight());
        Digest32 used = Digest(0);
        tokens.Add(used, Token());
        for (int i = 1; i < 1000; i++)
        {
            tokens.Add(Digest(i), Token());
            Assert.NotNull(tokens.Find(used, 3));
        }
        Assert.InRange(Enumerable.Range(0, 1000).Count(i => tokens.Find(Digest(i), 3) is not null), 1, 20);
    }

    [Fact]
    public void The_65th_license_pushes_out_the_one_seen_longest_ago()
    {
        var recent = new RecentLicenses();
        for (int i = 0; i < 65; i++)
            recent.Note(Token($"lic-{i}"), "VALID", LocalBench.Start + TimeSpan.FromSeconds(i));
        Assert.Equal(64, recent.Views().Count);
        Assert.Equal(("lic-64", "lic-1"), (recent.Views()[0].LicenseId, recent.Views()[63].LicenseId));
    }

    private AuditValue[] Counts() => [.. _journal.Notes.Select(note => note.Detail("count"))];

    private static PosConfig Pos(uint[] uids, uint[] gids) => new(
        "", uids, gids, 1, 1, 1, 1, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 4096, 4096);

    private static VerifiedToken Token(string license = "lic-1") => new(
        new VerifiedLicense(LocalBench.Claims(license), "a.b.c", "kid"), "pos-001.v6", 6, 3, default);

    private static int Weight() => Token().Weight;

    private static Digest32 Digest(int i) => Digest32.Sha256(BitConverter.GetBytes(i));
}
