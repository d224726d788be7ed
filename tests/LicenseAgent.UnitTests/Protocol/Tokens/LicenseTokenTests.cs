using System.Security.Cryptography;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.UnitTests.Protocol.Vectors;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Tokens;

public sealed class LicenseTokenTests : IDisposable
{
    private const string Kid = TokenParts.Kid;
    private static readonly byte[] Iv = new byte[12];

    private readonly AesGcm key = new(TokenParts.ContentKey(Kid), 16);
    private int verifications;

    public void Dispose() => key.Dispose();

    [Fact]
    public void A_minted_token_opens_to_its_claims()
    {
        LicenseClaims claims = Claims();
        LicenseOutcome outcome = Open(Mint(claims), key, out VerifiedLicense? license);
        Assert.Equal(LicenseOutcome.Opened, outcome);
        Assert.Equal(claims.Write(), license!.Claims.Write());
        Assert.Equal(TokenParts.Server.Kid, license.SignerKid);
        Assert.Equal(3, license.InnerJws.Split('.').Length);
    }

    [Fact]
    public void A_minted_token_is_byte_for_byte_what_the_bcl_makes() =>
        Assert.Equal(
            new TokenParts { Iv = Iv }.Token(), Mint(LicenseClaims.Read(TokenParts.Utf8(TokenParts.Claims))));

    [Fact]
    public void A_license_wrapped_anew_is_the_same_license_under_another_version()
    {
        using var newer = new AesGcm(TokenParts.ContentKey("pos-001.v8"), 16);
        Open(Mint(Claims()), key, out VerifiedLicense? old);
        string token = LicenseToken.Rewrap(TokenParts.Utf8(old!.InnerJws), "pos-001.v8", newer, Iv);
        Assert.True(LicenseToken.TryParseShape(TokenParts.Utf8(token), out LicenseTokenShape shape));
        Assert.Equal(("pos-001", 8L), (shape.AgentId, shape.Version));
        Assert.Equal(LicenseOutcome.Opened, Open(token, newer, out VerifiedLicense? license));
        Assert.Equal(old.InnerJws, license!.InnerJws);
    }

    [Fact]
    public void The_longest_minted_token_still_fits_wrapped_under_the_largest_version()
    {
        string inner = ValidTokens.Longest(LicenseToken.MintedMaxBytes).InnerJws();
        string token = LicenseToken.Rewrap(TokenParts.Utf8(inner), "pos-001.v9007199254740991", key, Iv);
        Assert.InRange(token.Length, 7990, LicenseToken.MaxBytes);
    }

    [Fact]
    public void A_token_over_the_limit_is_not_minted()
    {
        Assert.Equal(
            ValidTokens.Longest(8000).Token().Length,
            Mint(LicenseClaims.Read(ValidTokens.Longest(8000).Payload)).Length);
        LicenseClaims tooLong = LicenseClaims.Read(ValidTokens.ShortestAbove(8000).Payload);
        Assert.Equal("token_too_long", Assert.Throws<ProtocolException>(() => Mint(tooLong)).Code);
    }

    [Fact]
    public void A_license_out_of_its_limits_is_not_minted()
    {
        LicenseClaims[] wrong =
        [
            Claims() with { Sub = "" }, Claims() with { Aud = [] }, Claims() with { Aud = ["POS"] },
            Claims() with { Exp = -1 }, Claims() with { Exp = 253402300800 },
            Claims() with { Features = [.. Enumerable.Repeat("f", 65)] },
            Claims() with { Metadata = new Dictionary<string, string> { ["k"] = new('v', 513) } },
        ];
        Assert.All(wrong, claims => Assert.Throws<ProtocolException>(() => Mint(claims)));
    }

    [Fact]
    public void No_changed_bit_of_a_token_is_accepted_and_none_throws()
    {
        byte[] token = TokenParts.Utf8(Mint(Claims()));
        for (int i = 0; i < token.Length; i++)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                byte[] changed = [.. token];
                changed[i] ^= (byte)(1 << bit);
                Assert.False(IsAccepted(changed), $"byte {i}, bit {bit}");
            }
        }
        Assert.True(IsAccepted(token));
    }

    [Fact]
    public void No_cut_token_is_accepted_and_none_throws()
    {
        byte[] token = TokenParts.Utf8(Mint(Claims()));
        for (int length = 0; length < token.Length; length++)
            Assert.False(IsAccepted(token.AsSpan(0, length)));
    }

    [Fact]
    public void No_changed_bit_of_the_signed_license_is_accepted()
    {
        byte[] inner = TokenParts.Utf8(new TokenParts().InnerJws());
        for (int i = 0; i < inner.Length; i++)
        {
            byte[] changed = [.. inner];
            changed[i] ^= (byte)(1 << (i % 8));
            Assert.False(IsAccepted(TokenParts.Utf8(LicenseToken.Rewrap(changed, Kid, key, Iv))), $"byte {i}");
        }
    }

    [Fact]
    public void Random_bytes_are_no_token_and_throw_nothing() =>
        Prop.ForAll<byte[]>(bytes => !IsAccepted(bytes)
            && !IsAccepted(TokenParts.Utf8(LicenseToken.Rewrap(bytes, Kid, key, Iv))))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Theory]
    [InlineData("tag_bit_flipped")]
    [InlineData("inner_alg_none_unsigned")]
    [InlineData("inner_is_nul")]
    [InlineData("signed_by_the_attacker")]
    [InlineData("signature_zero")]
    [InlineData("plain")]
    [InlineData("product_nul")]
    public void Whatever_is_wrong_behind_the_shape_costs_exactly_one_verification(string vector)
    {
        JsonNode row = VectorFile.Read(LicenseTokenVectors.FileName)["tokens"]!.AsArray()
            .Single(r => r!["name"].String() == vector)!;
        Open(row["token"].String(), key, out _);
        Assert.Equal(1, verifications);
    }

    [Fact]
    public void A_license_is_for_the_agents_it_names()
    {
        LicenseClaims claims = Claims() with { Aud = ["pos-001", "pos-002"] };
        Assert.True(claims.IsFor("pos-002"));
        Assert.False(claims.IsFor("pos-00"));
        Assert.Equal("2027-11-20T12:26:40.000Z", claims.ExpiresAt.ToString());
        Assert.Equal(1795100000_000, claims.NotBefore.UnixMs);
    }

    private static LicenseClaims Claims() => new(
        "license.example", "lic-0001", ["pos-001"], "tok-0001", 1795100000, 1795100000, 1826713600, "till",
        ["receipts"], new Dictionary<string, string> { ["shop"] = "17", ["city"] = "Köln" });

    private string Mint(LicenseClaims claims) => LicenseToken.Mint(
        claims, TokenParts.Server.Kid, Kid, key, Iv, data => TokenParts.Server.Sign(data));

    private bool IsAccepted(ReadOnlySpan<byte> token) =>
        LicenseToken.TryParseShape(token, out LicenseTokenShape shape) && shape.Kid == Kid
            && LicenseOpening.Open(shape, key, SignerOf, Es256.Verify, out _) == LicenseOutcome.Opened;

    private LicenseOutcome Open(string token, AesGcm contentKey, out VerifiedLicense? license)
    {
        Assert.True(LicenseToken.TryParseShape(TokenParts.Utf8(token), out LicenseTokenShape shape));
        return LicenseOpening.Open(shape, contentKey, SignerOf, CountedVerify, out license);
    }

    private bool CountedVerify(EcPublicJwk signer, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        verifications++;
        return Es256.Verify(signer, data, signature);
    }

    private static EcPublicJwk? SignerOf(string kid) => kid == TokenParts.Server.Kid ? TokenParts.Server.Public : null;
}
