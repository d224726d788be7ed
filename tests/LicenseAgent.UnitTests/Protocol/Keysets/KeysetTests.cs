using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.UnitTests.Protocol.Vectors;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Keysets;

public sealed class KeysetTests
{
    private static readonly FixedEcKey First = FixedEcKey.Named("keyset 1"), Second = FixedEcKey.Named("keyset 2");
    private static readonly FixedEcKey Third = FixedEcKey.Named("keyset 3"), Answers = FixedEcKey.Named("responses");

    [Fact]
    public void A_chain_is_followed_from_its_pin_to_its_end()
    {
        SignedKeyset[] chain = [Set(1, First, First), Set(2, Second, First, Second), Set(3, Third, Second, Third)];
        IReadOnlyList<SignedKeyset> read = KeysetChain.Read(KeysetChain.Write(chain));
        Keyset last = KeysetChain.VerifyFromPin(read, Pin(chain[0]), Es256.Verify);
        Assert.Equal(3, last.Version);
        Assert.Equal(Answers.Public, last.Find(Answers.Kid, KeyScopes.Response));
        Assert.Null(last.Find(Answers.Kid, KeyScopes.License));
        Assert.Null(last.Find(First.Kid, KeyScopes.Keyset));
        Assert.Equal(last, KeysetChain.VerifyAfter([], last, Es256.Verify));
    }

    [Fact]
    public void A_keyset_that_keeps_its_keyset_key_needs_one_signature() =>
        Assert.Equal(2, KeysetChain.VerifyNext(
            Set(2, First, First), Verified(Set(1, First, First)), Es256.Verify).Version);

    [Fact]
    public void A_keyset_is_pinned_by_the_bytes_of_its_payload()
    {
        SignedKeyset signed = Set(1, First, First), other = Set(1, Second, Second);
        Assert.Equal(1, KeysetChain.VerifyPinned(signed, Pin(signed), Es256.Verify).Version);
        Assert.Equal("keyset_pin", Refusal(() => KeysetChain.VerifyPinned(other, Pin(signed), Es256.Verify)));
        Assert.Equal("keyset_pin", Refusal(
            () => KeysetChain.VerifyPinned(signed, Pin(signed) with { Version = 2 }, Es256.Verify)));
    }

    [Fact]
    public void A_keyset_not_signed_by_itself_is_refused() =>
        Assert.Equal("keyset_signature", Refusal(() => KeysetChain.VerifyNext(
            Set(2, Second, First), Verified(Set(1, First, First)), Es256.Verify)));

    [Fact]
    public void A_keyset_not_signed_by_the_one_before_is_refused() =>
        Assert.Equal("keyset_signature", Refusal(() => KeysetChain.VerifyNext(
            Set(2, Second, Second, Third), Verified(Set(1, First, First)), Es256.Verify)));

    [Fact]
    public void A_key_that_signs_answers_signs_no_keyset() =>
        Assert.Equal("keyset_signature", Refusal(() => KeysetChain.VerifyNext(
            Set(2, Second, Answers, Second), Verified(Set(1, First, First)), Es256.Verify)));

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_keyset_that_is_not_the_next_is_refused(long version) =>
        Assert.Equal("keyset_version", Refusal(() => KeysetChain.VerifyNext(
            Set(version, First, First), Verified(Set(1, First, First)), Es256.Verify)));

    [Fact]
    public void A_signature_over_another_payload_is_worth_nothing()
    {
        SignedKeyset good = Set(2, First, First), other = Set(2, First, First, Third);
        GeneralJws mixed = other.Jws with { Payload = Set(3, First, First).Jws.Payload };
        Assert.False(SignedKeyset.Parse(mixed).IsSignedByOneOf(good.Keyset, Es256.Verify));
    }

    [Fact]
    public void No_changed_character_of_a_signed_keyset_passes()
    {
        SignedKeyset good = Set(1, First, First);
        byte[] json = good.Write();
        for (int i = 0; i < json.Length; i++)
        {
            byte[] changed = [.. json];
            changed[i] ^= 1;
            Exception? refusal = Record.Exception(() =>
                KeysetChain.VerifyPinned(SignedKeyset.Read(changed), Pin(good), Es256.Verify));
            Assert.IsType<ProtocolException>(refusal);
        }
    }

    [Fact]
    public void A_newer_server_may_add_members_and_scopes()
    {
        string payload = System.Text.Encoding.UTF8.GetString(Keyset(1, First).Write())
            .Replace("\"pins\"", "\"hint\":{\"a\":1},\"pins\"", StringComparison.Ordinal)
            .Replace("[\"keyset\"]", "[\"keyset\",\"future\"]", StringComparison.Ordinal);
        Keyset read = LicenseAgent.Protocol.Keysets.Keyset.Read(TokenParts.Utf8(payload));
        Assert.Equal(First.Public, read.Find(First.Kid, KeyScopes.Keyset));
    }

    [Theory]
    [InlineData("\"version\":1", "\"version\":0", "keyset_version")]
    [InlineData("[\"keyset\"]", "[]", "keyset_scope")]
    [InlineData("[\"keyset\"]", "[\"keyset\",\"keyset\"]", "keyset_scope")]
    [InlineData("[\"keyset\"]", "[null]", "keyset_scope")]
    [InlineData("[\"keyset\"]", "null", "json_value")]
    [InlineData("\"kid\":\"", "\"kid\":\"x", "keyset_kid")]
    [InlineData("P-256", "P-384", "jwk")]
    [InlineData("\"pins\":[", "\"pins\":[\"sha256:\",", "pin")]
    [InlineData("\"keys\":[", "\"keys\":[null,", "keyset_keys")]
    [InlineData(".000Z", "Z", "json_value")]
    public void A_malformed_keyset_is_refused(string text, string other, string code)
    {
        string good = System.Text.Encoding.UTF8.GetString(Keyset(1, First).Write());
        Assert.Contains(text, good, StringComparison.Ordinal);
        Assert.Equal(code, Refusal(() => LicenseAgent.Protocol.Keysets.Keyset.Read(
            TokenParts.Utf8(good.Replace(text, other, StringComparison.Ordinal)))));
    }

    [Fact]
    public void The_same_key_twice_is_refused() =>
        Assert.Equal("keyset_kid", Refusal(() => (Keyset(1, First) with
        {
            Keys = [KeysetKey.Of(First.Public, KeyScopes.Keyset), KeysetKey.Of(First.Public, KeyScopes.License)],
        }).Write()));

    [Fact]
    public void More_entries_than_the_limits_are_refused()
    {
        KeysetKey[] keys = [.. Enumerable.Range(0, 65).Select(
            i => KeysetKey.Of(FixedEcKey.Named($"key {i}").Public, KeyScopes.License))];
        string pin = SpkiPin.Of("spki"u8).ToString();
        Assert.Equal("keyset_keys", Refusal(() => (Keyset(1, First) with { Keys = keys }).Write()));
        Assert.Equal("pin", Refusal(() => (Keyset(1, First) with { Pins = [.. Enumerable.Repeat(pin, 65)] }).Write()));
        Assert.Equal("keyset_jws", Refusal(() => Set(1, First, [.. Enumerable.Repeat(First, 9)])));
        Assert.Equal("keyset_chain", Refusal(() => KeysetChain.Read(
            KeysetChain.Write(Enumerable.Repeat(Set(1, First, First), 1001)))));
        Assert.Equal("keyset_chain", Refusal(() => KeysetChain.VerifyFromPin(
            [], new KeysetPin(1, default), Es256.Verify)));
    }

    private static Keyset Keyset(long version, FixedEcKey own) => new(
        version, new UtcTime(1795100000000), new UtcTime(1802876000000),
        [KeysetKey.Of(own.Public, KeyScopes.Keyset), KeysetKey.Of(Answers.Public, KeyScopes.Response)],
        [SpkiPin.Of("spki"u8).ToString()]);

    private static SignedKeyset Set(long version, FixedEcKey own, params FixedEcKey[] signers) => SignedKeyset.Create(
        Keyset(version, own), [.. signers.Select(s => new KeysetSigner(s.Kid, data => s.Sign(data)))]);

    private static Keyset Verified(SignedKeyset signed) =>
        KeysetChain.VerifyPinned(signed, Pin(signed), Es256.Verify);

    private static KeysetPin Pin(SignedKeyset signed) => new(signed.Keyset.Version, signed.PayloadSha256);

    private static string Refusal(Func<object> act) => Assert.Throws<ProtocolException>(act).Code;
}
