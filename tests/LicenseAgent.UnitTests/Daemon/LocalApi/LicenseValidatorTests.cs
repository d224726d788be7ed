using System.Collections.Frozen;
using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Tokens;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

public sealed class LicenseValidatorTests : IDisposable
{
    private readonly LocalBench _bench = new();

    public void Dispose() => _bench.Dispose();

    public static TheoryData<string, string> Reasons => new()
    {
        { ValidationReasons.Valid, "active" },
        { ValidationReasons.Valid, "grace" },
        { ValidationReasons.Valid, "pending" },
        { ValidationReasons.Valid, "offline" },
        { ValidationReasons.Valid, "degraded" },
        { ValidationReasons.Valid, "two audiences" },
        { ValidationReasons.Expired, "expired" },
        { ValidationReasons.NotYetValid, "not yet" },
        { ValidationReasons.Revoked, "revoked" },
        { ValidationReasons.WrongAgent, "other kid" },
        { ValidationReasons.WrongAgent, "other audience" },
        { ValidationReasons.UnknownSecret, "v9" },
        { ValidationReasons.SecretInvalidated, "v8" },
        { ValidationReasons.SecretInvalidated, "v4" },
        { ValidationReasons.SecretInvalidated, "erased" },
        { ValidationReasons.InvalidToken, "empty" },
        { ValidationReasons.InvalidToken, "garbage" },
        { ValidationReasons.InvalidToken, "too long" },
        { ValidationReasons.InvalidToken, "wrong tag" },
        { ValidationReasons.InvalidToken, "wrong signature" },
        { ValidationReasons.InvalidToken, "unknown signer" },
        { ValidationReasons.InvalidToken, "malformed inner" },
        { ValidationReasons.InvalidToken, "malformed claims" },
        { ValidationReasons.GraceExhausted, "exhausted" },
        { ValidationReasons.GraceExhausted, "degraded not allowed" },
        { ValidationReasons.Locked, "suspended" },
        { ValidationReasons.Locked, "not enrolled" },
        { ValidationReasons.Locked, "not read yet" },
        { ValidationReasons.SecretInvalidated, "not read and over" },
        { ValidationReasons.NoSecret, "no secret" },
    };

    [Theory]
    [MemberData(nameof(Reasons))]
    public void Each_case_has_its_reason(string reason, string what)
    {
        byte[] token = Case(what);
        Assert.Equal(reason, _bench.Validator().Judge(token, _bench.Now).Reason);
    }

    [Theory]
    [MemberData(nameof(Reasons))]
    public void A_verified_license_shows_its_claims_whatever_the_reason(string reason, string what)
    {
        byte[] token = Case(what);
        bool verified = reason is ValidationReasons.Valid or ValidationReasons.Expired or ValidationReasons.NotYetValid
            or ValidationReasons.Revoked || what == "other audience";
        Assert.Equal(verified, _bench.Validator().Judge(token, _bench.Now).Token is not null);
    }

    [Fact]
    public void A_wrong_tag_costs_as_many_verifications_as_a_wrong_signature()
    {
        string[] cases = ["wrong tag", "wrong signature", "unknown signer", "malformed inner"];
        foreach (string what in cases)
        {
            byte[] token = Case(what);
            int before = _bench.Verifications;
            _bench.Validator().Judge(token, _bench.Now);
            Assert.Equal((what, 1), (what, _bench.Verifications - before));
        }
    }

    [Theory]
    [InlineData(-1, ValidationReasons.Valid)]
    [InlineData(0, ValidationReasons.Expired)]
    [InlineData(1, ValidationReasons.Expired)]
    public void A_license_ends_exactly_at_exp_by_trusted_now(long ms, string reason)
    {
        LicenseClaims claims = LocalBench.Claims() with { Exp = LocalBench.Start.UnixSeconds + 10 };
        Assert.Equal(reason, JudgeAt(_bench.Mint(claims), 10_000 + ms).Reason);
    }

    [Theory]
    [InlineData(-1, ValidationReasons.NotYetValid)]
    [InlineData(0, ValidationReasons.Valid)]
    [InlineData(1, ValidationReasons.Valid)]
    public void A_license_begins_300_s_before_nbf(long ms, string reason)
    {
        LicenseClaims claims = LocalBench.Claims() with { Nbf = LocalBench.Start.UnixSeconds + 310 };
        Assert.Equal(reason, JudgeAt(_bench.Mint(claims), 10_000 + ms).Reason);
    }

    [Fact]
    public void The_wall_clock_ahead_lets_a_license_begin()
    {
        LicenseClaims claims = LocalBench.Claims() with { Nbf = LocalBench.Start.UnixSeconds + 1000 };
        _bench.Time.Now = LocalBench.Start + TimeSpan.FromSeconds(700);
        Assert.Equal(ValidationReasons.Valid, JudgeAt(_bench.Mint(claims), 0).Reason);
    }

    [Fact]
    public void The_wall_clock_behind_does_not_let_a_license_last()
    {
        LicenseClaims claims = LocalBench.Claims() with { Exp = LocalBench.Start.UnixSeconds + 10 };
        _bench.Time.Now = UtcTime.FromUnixSeconds(0);
        Assert.Equal(ValidationReasons.Expired, JudgeAt(_bench.Mint(claims), 10_000).Reason);
    }

    [Theory]
    [InlineData(-1, ValidationReasons.Valid)]
    [InlineData(0, ValidationReasons.SecretInvalidated)]
    [InlineData(1, ValidationReasons.SecretInvalidated)]
    public void A_grace_secret_opens_nothing_from_its_end_on(long ms, string reason)
    {
        long end = (long)(2 * LocalBench.Day).TotalMilliseconds;
        Assert.Equal(reason, JudgeAt(_bench.Mint(LocalBench.Claims(), version: 5), end + ms).Reason);
    }

    [Theory]
    [InlineData(-1, ValidationReasons.Valid)]
    [InlineData(0, ValidationReasons.GraceExhausted)]
    [InlineData(1, ValidationReasons.GraceExhausted)]
    public void Validations_end_with_the_effective_end_of_ACTIVE(long ms, string reason)
    {
        long end = (long)(8 * LocalBench.Day).TotalMilliseconds;
        Assert.Equal(reason, JudgeAt(_bench.Mint(LocalBench.Claims(), version: 7), end + ms).Reason);
    }

    [Theory]
    [InlineData(6, 3, 3)]
    [InlineData(6, 30, 8)]
    [InlineData(5, 30, 2)]
    [InlineData(7, 30, 8)]
    public void Usable_until_is_the_earliest_of_license_ACTIVE_and_own_secret(long version, int licenseDays, int days)
    {
        UtcTime end = LocalBench.Start + licenseDays * LocalBench.Day;
        LicenseClaims claims = LocalBench.Claims() with { Exp = end.UnixSeconds };
        Verdict verdict = JudgeAt(_bench.Mint(claims, version), 0);
        Assert.Equal(LocalBench.Start + days * LocalBench.Day, verdict.UsableUntil);
    }

    [Fact]
    public void Where_DEGRADED_is_not_allowed_usable_until_is_the_end_of_normal_life()
    {
        _bench.Snapshot = _bench.Snapshot with { Mode = _bench.Snapshot.Mode with { DegradedAllowed = false } };
        Assert.Equal(LocalBench.Start + LocalBench.Day, JudgeAt(_bench.Mint(LocalBench.Claims()), 0).UsableUntil);
    }

    [Fact]
    public void A_token_under_GRACE_is_renewed_under_ACTIVE_with_the_same_signed_license()
    {
        LicenseValidator validator = _bench.Validator();
        Verdict old = validator.Judge(_bench.Mint(LocalBench.Claims(), version: 5), _bench.Now);
        Verdict renewed = validator.Judge(old.RenewedToken, _bench.Now);
        Assert.Equal((ValidationReasons.Valid, 6L), (renewed.Reason, renewed.Token!.Version));
        Assert.Equal(old.Token!.License.InnerJws, renewed.Token.License.InnerJws);
        Assert.Null(renewed.RenewedToken);
    }

    [Fact]
    public void A_renewed_token_is_made_once_per_token_and_ACTIVE()
    {
        LicenseValidator validator = _bench.Validator();
        byte[] token = _bench.Mint(LocalBench.Claims(), version: 5);
        Assert.Same(validator.Judge(token, _bench.Now).RenewedToken, validator.Judge(token, _bench.Now).RenewedToken);
    }

    [Fact]
    public void A_token_under_PENDING_is_not_renewed()
    {
        Assert.Null(JudgeAt(_bench.Mint(LocalBench.Claims(), version: 7), 0).RenewedToken);
    }

    [Fact]
    public void A_token_seen_before_is_neither_opened_nor_verified_again()
    {
        LicenseValidator validator = _bench.Validator();
        byte[] token = _bench.Mint(LocalBench.Claims());
        validator.Judge(token, _bench.Now);
        Assert.Equal((ValidationReasons.Valid, 1), (validator.Judge(token, _bench.Now).Reason, _bench.Verifications));
    }

    [Fact]
    public void A_refused_token_is_verified_each_time()
    {
        LicenseValidator validator = _bench.Validator();
        byte[] token = Case("wrong signature");
        validator.Judge(token, _bench.Now);
        validator.Judge(token, _bench.Now);
        Assert.Equal(2, _bench.Verifications);
    }

    [Fact]
    public void Another_keyset_makes_a_known_token_be_verified_again()
    {
        LicenseValidator validator = _bench.Validator();
        byte[] token = _bench.Mint(LocalBench.Claims());
        validator.Judge(token, _bench.Now);
        _bench.Snapshot = _bench.Snapshot with
        {
            KeysetVersion = 4,
            LicenseKeys = FrozenDictionary<string, EcPublicJwk>.Empty,
        };
        Assert.Equal(ValidationReasons.InvalidToken, validator.Judge(token, _bench.Now).Reason);
    }

    [Theory]
    [InlineData("expired", ValidationReasons.Expired)]
    [InlineData("revoked", ValidationReasons.Revoked)]
    [InlineData("invalidated", ValidationReasons.SecretInvalidated)]
    [InlineData("suspended", ValidationReasons.Locked)]
    [InlineData("renamed", ValidationReasons.WrongAgent)]
    public void A_known_token_is_judged_by_what_holds_now(string what, string reason)
    {
        LicenseValidator validator = _bench.Validator();
        byte[] token = _bench.Mint(LocalBench.Claims() with { Exp = LocalBench.Start.UnixSeconds + 3600 });
        Assert.True(validator.Judge(token, _bench.Now).IsValid);
        Change(what);
        Assert.Equal(reason, validator.Judge(token, _bench.Now).Reason);
    }

    [Fact]
    public void A_secret_erased_after_the_snapshot_counts_as_invalidated()
    {
        byte[] token = _bench.Mint(LocalBench.Claims(), version: 5);
        _bench.Snapshot.Secrets["pos-001.v5"].TokenKey.Dispose();
        Assert.Equal(ValidationReasons.SecretInvalidated, JudgeAt(token, 0).Reason);
    }

    [Fact]
    public void The_mode_at_the_moment_of_the_call_stands_in_the_verdict()
    {
        byte[] token = _bench.Mint(LocalBench.Claims());
        long day = (long)LocalBench.Day.TotalMilliseconds;
        Assert.Equal(AgentMode.Normal, JudgeAt(token, day - 1).Mode);
        Assert.Equal(AgentMode.Degraded, JudgeAt(token, day).Mode);
    }

    private Verdict JudgeAt(byte[] token, long msAfterStart)
    {
        (long boot, AgentSnapshot snapshot) = (_bench.Clock.BootMs, _bench.Snapshot);
        _bench.Pass(msAfterStart);
        Verdict verdict = _bench.Validator().Judge(token, _bench.Now);
        (_bench.Clock.BootMs, _bench.Snapshot) = (boot, snapshot);
        return verdict;
    }

    private void Change(string what)
    {
        _bench.Snapshot = what switch
        {
            "revoked" => _bench.Snapshot with { RevokedLicenses = Only("lic-1") },
            "invalidated" => _bench.Snapshot with
            {
                Secrets = FrozenDictionary<string, UsableSecret>.Empty,
            },
            "suspended" => _bench.Snapshot with { Mode = _bench.Snapshot.Mode with { Lock = LockReason.Suspended } },
            "renamed" => _bench.Snapshot with { AgentId = "pos-002" },
            _ => _bench.Snapshot,
        };
        if (what == "expired")
            _bench.Clock.BootMs += 3_600_000;
    }

    private byte[] Case(string what)
    {
        LicenseClaims claims = LocalBench.Claims();
        SetMode(what);
        return what switch
        {
            "grace" => _bench.Mint(claims, version: 5),
            "pending" => _bench.Mint(claims, version: 7),
            "two audiences" => _bench.Mint(LocalBench.Claims("lic-1", "pos-000", LocalBench.AgentId)),
            "expired" => _bench.Mint(claims with { Exp = LocalBench.Start.UnixSeconds }),
            "not yet" => _bench.Mint(claims with { Nbf = LocalBench.Start.UnixSeconds + 301 }),
            "revoked" => _bench.Mint(LocalBench.Claims("revoked-license")),
            "other kid" => _bench.Mint(claims, agent: "pos-002"),
            "other audience" => _bench.Mint(LocalBench.Claims("lic-1", "pos-002")),
            "v9" => _bench.Mint(claims, version: 9),
            "v8" => _bench.Mint(claims, version: 8),
            "v4" or "not read yet" or "not read and over" => _bench.Mint(claims, version: 4),
            "empty" => [],
            "garbage" => "a.b.c.d.e"u8.ToArray(),
            "too long" => new byte[8193],
            "wrong tag" => WithWrongTag(_bench.Mint(claims)),
            "wrong signature" => WithWrongSignature(claims),
            "unknown signer" => WithUnknownSigner(claims),
            "malformed inner" => _bench.Wrap("not.a.jws"u8),
            "malformed claims" => _bench.Wrap(_bench.Signed("{}"u8)),
            _ => _bench.Mint(claims),
        };
    }

    private void SetMode(string what)
    {
        ModeFacts facts = _bench.Snapshot.Mode;
        if (what == "erased")
            _bench.Snapshot.Secrets["pos-001.v6"].TokenKey.Dispose();
        if (what is "not read yet" or "not read and over")
            Await("pos-001.v4", LocalBench.Start + TimeSpan.FromMilliseconds(what == "not read yet" ? 1 : 0));
        facts = what switch
        {
            "offline" => facts with { LastContact = LocalBench.Start - LocalBench.Day },
            "degraded" => facts with { ValidUntil = LocalBench.Start },
            "exhausted" => facts with { EffectiveEnd = LocalBench.Start },
            "degraded not allowed" => facts with { ValidUntil = LocalBench.Start, DegradedAllowed = false },
            "suspended" => facts with { Lock = LockReason.Suspended },
            "not enrolled" => facts with { Lock = LockReason.NotEnrolled, ValidUntil = null },
            "no secret" => facts with { ValidUntil = null },
            _ => facts,
        };
        _bench.Snapshot = _bench.Snapshot with { Mode = facts };
    }

    private void Await(string kid, UtcTime end) => _bench.Snapshot = _bench.Snapshot with
    {
        Awaited = new[] { KeyValuePair.Create(kid, end) }.ToFrozenDictionary(),
    };

    private static byte[] WithWrongTag(byte[] token)
    {
        // The last character of a tag carries unused bits; the first is all tag.
        int tag = Array.LastIndexOf(token, (byte)'.') + 1;
        token[tag] = token[tag] == 'A' ? (byte)'B' : (byte)'A';
        return token;
    }

    private byte[] WithWrongSignature(LicenseClaims claims)
    {
        using var thief = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return _bench.Mint(claims, signer: thief);
    }

    private byte[] WithUnknownSigner(LicenseClaims claims)
    {
        using var thief = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string kid = EcPublicJwk.From(thief).Thumbprint().ToString();
        return _bench.Wrap(_bench.SignedBy(thief, kid, claims.Write()));
    }

    private static FrozenSet<string> Only(string id) =>
        FrozenSet.ToFrozenSet([id]);
}
