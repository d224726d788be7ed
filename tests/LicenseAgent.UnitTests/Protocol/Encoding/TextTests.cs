using FsCheck;
using FsCheck.Fluent;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Encoding;

public sealed class TextTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("Zg", "f")]
    [InlineData("Zm8", "fo")]
    [InlineData("Zm9v", "foo")]
    [InlineData("Zm9vYg", "foob")]
    public void Base64url_reads_what_it_writes(string text, string plain)
    {
        Assert.Equal(text, Base64UrlText.Encode(System.Text.Encoding.ASCII.GetBytes(plain)));
        Assert.True(Base64UrlText.TryDecode(text, out byte[] bytes));
        Assert.Equal(plain, System.Text.Encoding.ASCII.GetString(bytes));
    }

    [Theory]
    [InlineData("Zg==")]
    [InlineData("Zm8=")]
    [InlineData("Zh")]
    [InlineData("Zm9")]
    [InlineData("Z")]
    [InlineData("Zm9vZ")]
    [InlineData("Zm 9v")]
    [InlineData("Zm9v\n")]
    [InlineData(" Zm9v")]
    [InlineData("Zm+v")]
    [InlineData("Zm/v")]
    [InlineData("Zmé")]
    [InlineData(null)]
    public void Base64url_refuses_any_second_text_of_the_same_bytes(string? text) =>
        Assert.False(Base64UrlText.TryDecode(text, out _));

    [Fact]
    public void Base64url_texts_and_bytes_are_one_to_one() =>
        Prop.ForAll<byte[]>(bytes => Base64UrlText.TryDecode(Base64UrlText.Encode(bytes), out byte[] back)
            && back.AsSpan().SequenceEqual(bytes)
            && Base64UrlText.EncodedLength(bytes.Length) == Base64UrlText.Encode(bytes).Length
            && Base64UrlText.DecodedLength(Base64UrlText.EncodedLength(bytes.Length)) == bytes.Length)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void Base64url_does_not_write_past_a_short_span() =>
        Assert.False(Base64UrlText.TryDecode("Zm9v"u8, stackalloc byte[2], out _));

    [Theory]
    [InlineData("00ff", true)]
    [InlineData("00FF", false)]
    [InlineData("0ff", false)]
    [InlineData("0x", false)]
    [InlineData("", true)]
    [InlineData(null, false)]
    public void Hex_is_lower_case(string? text, bool good)
    {
        Assert.Equal(good, HexText.TryDecode(text, out byte[] bytes));
        if (good)
            Assert.Equal(text, HexText.Encode(bytes));
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("pos-001", true)]
    [InlineData("0", true)]
    [InlineData("a-", false)]
    [InlineData("-a", false)]
    [InlineData("", false)]
    [InlineData("A", false)]
    [InlineData("a.b", false)]
    [InlineData("a_b", false)]
    [InlineData("a\n", false)]
    [InlineData("ä", false)]
    [InlineData(null, false)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    public void An_agent_id_is_a_dns_label(string? text, bool good) => Assert.Equal(good, AgentId.IsValid(text));

    [Theory]
    [InlineData("pos-001.v7", "pos-001", 7)]
    [InlineData("a.v1", "a", 1)]
    [InlineData("a.v9007199254740991", "a", 9007199254740991)]
    public void A_kid_names_agent_and_version(string kid, string agentId, long version)
    {
        Assert.True(SecretKid.TryParse(kid, out string agent, out long number));
        Assert.Equal((agentId, version), (agent, number));
        Assert.Equal(kid, SecretKid.Format(agentId, version));
    }

    [Theory]
    [InlineData("pos-001.v0")]
    [InlineData("pos-001.v07")]
    [InlineData("pos-001.V7")]
    [InlineData("pos-001.v")]
    [InlineData("pos-001.7")]
    [InlineData("pos-001v7")]
    [InlineData("pos-001.v-7")]
    [InlineData("pos-001.v+7")]
    [InlineData("pos-001.v7 ")]
    [InlineData("pos-001.v7.v8")]
    [InlineData("pos-001.v٧")]
    [InlineData(".v7")]
    [InlineData("a.v9007199254740992")]
    [InlineData("a.v99999999999999999999999999999999")]
    [InlineData("")]
    [InlineData(null)]
    public void Any_other_kid_names_nothing(string? kid) => Assert.False(SecretKid.TryParse(kid, out _, out _));

    [Fact]
    public void No_kid_is_made_for_what_is_no_agent_or_version()
    {
        Assert.Throws<ProtocolException>(() => SecretKid.Format("A", 1));
        Assert.Throws<ProtocolException>(() => SecretKid.Format("a", 0));
        Assert.Throws<ProtocolException>(() => SecretKid.Format("a", SecretKid.MaxVersion + 1));
    }

    [Fact]
    public void A_request_id_is_a_version_7_uuid()
    {
        // The example of RFC 9562 appendix A.6.
        byte[] random = Convert.FromHexString("0CC398C4DC0C0C07398F");
        Assert.Equal("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", RequestId.From(new UtcTime(1645557742000), random));
        Assert.True(RequestId.IsValid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
    }

    [Theory]
    [InlineData("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")]
    [InlineData("017f22e2-79b0-4cc3-98c4-dc0c0c07398f")]
    [InlineData("017f22e2-79b0-7cc3-c8c4-dc0c0c07398f")]
    [InlineData("017f22e279b07cc398c4dc0c0c07398f")]
    [InlineData("{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}")]
    [InlineData("017f22e2-79b0-7cc3-98c4-dc0c0c07398")]
    [InlineData(null)]
    public void Any_other_text_is_no_request_id(string? text) => Assert.False(RequestId.IsValid(text));

    [Fact]
    public void Every_request_id_made_is_valid() =>
        Prop.ForAll<byte[], ulong>((bytes, time) =>
        {
            byte[] random = [.. bytes, .. new byte[10]];
            return RequestId.IsValid(RequestId.From(new UtcTime((long)(time >> 17)), random.AsSpan(0, 10)));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Theory]
    [InlineData("a", 1, 1, true)]
    [InlineData("", 1, 1, false)]
    [InlineData("", 0, 1, true)]
    [InlineData("ä", 1, 1, false)]
    [InlineData("ä", 1, 2, true)]
    [InlineData("\0", 1, 2, false)]
    [InlineData("\ud83d\ude00", 1, 4, true)]
    [InlineData("\ud83d\ude00", 1, 3, false)]
    [InlineData(null, 0, 1, false)]
    public void Text_limits_count_bytes_of_utf8(string? text, int min, int max, bool fits) =>
        Assert.Equal(fits, LimitedText.Fits(text, min, max));

    [Fact]
    public void Half_a_surrogate_pair_fits_nowhere() => Assert.False(LimitedText.Fits("a\ud83d", 0, 100));

    [Fact]
    public void Cutting_never_splits_a_character()
    {
        Assert.Equal("aä", LimitedText.Cut("aä\ud83d\ude00", 6));
        Assert.Equal("aä\ud83d\ude00", LimitedText.Cut("aä\ud83d\ude00", 7));
    }

    [Fact]
    public void Fixed_values_survive_their_text() =>
        Prop.ForAll<byte[]>(bytes =>
        {
            byte[] filled = [.. bytes, .. new byte[32]];
            Nonce16 nonce = Nonce16.From(filled.AsSpan(0, 16));
            Digest32 digest = Digest32.From(filled.AsSpan(0, 32));
            Kcv kcv = Kcv.From(filled.AsSpan(0, 8));
            byte[] copy = new byte[32];
            digest.CopyTo(copy);
            return Nonce16.TryParse(nonce.ToString(), out Nonce16 nonceBack) && nonceBack == nonce
                && Digest32.TryParse(digest.ToString(), out Digest32 digestBack) && digestBack == digest
                && digestBack.FixedTimeEquals(digest) && copy.AsSpan().SequenceEqual(filled.AsSpan(0, 32))
                && Kcv.TryParse(kcv.ToString(), out Kcv kcvBack) && kcvBack == kcv
                && kcv.ToString() == HexText.Encode(filled.AsSpan(0, 8));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void Digests_differ_in_every_word()
    {
        for (int i = 0; i < 32; i++)
        {
            byte[] bytes = new byte[32];
            bytes[i] = 1;
            Assert.False(Digest32.From(bytes).FixedTimeEquals(default));
        }
    }

    [Fact]
    public void Sha256_of_abc_is_the_one_of_FIPS_180() =>
        Assert.Equal(
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Digest32.Sha256("abc"u8).ToHex());
}
