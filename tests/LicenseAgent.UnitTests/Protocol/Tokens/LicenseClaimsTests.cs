using FsCheck;
using FsCheck.Fluent;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.UnitTests.Protocol.Vectors;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Tokens;

public sealed class LicenseClaimsTests
{
    private static readonly LicenseClaims Plain = LicenseClaims.Read(TokenParts.Utf8(TokenParts.Claims));

    [Fact]
    public void Any_text_within_its_limits_survives_and_no_other_is_written() =>
        Prop.ForAll<string?>(text =>
        {
            LicenseClaims claims = Plain with { Product = text! };
            if (!LimitedText.IsName(text))
                return Record.Exception(() => claims.Write()) is ProtocolException { Member: "/product" };
            return LicenseClaims.Read(claims.Write()).Product == text;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void A_text_written_in_escapes_is_read_exactly_if_it_is_well_formed() =>
        Prop.ForAll(Gen.ArrayOf(Gen.OneOf(Gen.Choose(0, 0x7F), Gen.Choose(0xD700, 0xE0FF))).ToArbitrary(), units =>
        {
            string text = new([.. units.Take(20).Select(unit => (char)unit)]);
            string escaped = string.Concat(text.Select(c => $"\\u{(int)c:x4}"));
            byte[] json = TokenParts.With("\"17\"", $"\"{escaped}\"").Payload;
            if (LimitedText.Fits(text, 0, LimitedText.MetadataValueMaxBytes))
                return LicenseClaims.Read(json).Metadata["shop"] == text;
            return Record.Exception(() => LicenseClaims.Read(json)) is ProtocolException { Code: "json_string" };
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void A_changed_byte_is_read_or_refused_and_never_anything_else()
    {
        byte[] good = TokenParts.Utf8(TokenParts.Claims);
        for (int i = 0; i < good.Length; i++)
        {
            foreach (byte other in "\0\"\\{}[],:-e.0aÿ"u8)
            {
                byte[] changed = [.. good];
                changed[i] = other;
                Exception? refusal = Record.Exception(() => LicenseClaims.Read(changed));
                Assert.True(refusal is null or ProtocolException, $"byte {i} = {other}: {refusal}");
            }
        }
    }

    [Theory]
    [InlineData("\"sub\":\"lic-0001\"", "\"sub\":\"\"", "text_length", "/sub")]
    [InlineData("\"aud\":\"pos-001\"", "\"aud\":[]", "claims_audience", "/aud")]
    [InlineData("\"exp\":1826636000", "\"exp\":-1", "claims_time", "/exp")]
    [InlineData("\"exp\":1826636000,", "", "json_missing", "/exp")]
    [InlineData("\"iat\"", "\"iat\":1,\"x\"", "json_unknown", "/x")]
    [InlineData("\"shop\":\"17\"", "\"\":\"17\"", "text_length", "/metadata")]
    [InlineData("\"aud\":\"pos-001\"", "\"aud\":[1]", "json_value", "/aud")]
    public void A_refusal_names_the_member(string text, string other, string code, string member)
    {
        ProtocolException refusal = Assert.Throws<ProtocolException>(
            () => LicenseClaims.Read(TokenParts.With(text, other).Payload));
        Assert.Equal((code, member), (refusal.Code, refusal.Member));
    }
}
