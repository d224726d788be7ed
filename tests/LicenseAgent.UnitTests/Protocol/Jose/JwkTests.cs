using System.Security.Cryptography;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Jose;

public sealed class JwkTests
{
    private const string Rfc7638Modulus =
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
        + "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
        + "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
        + "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    [Fact]
    public void The_rsa_thumbprint_is_the_one_of_RFC_7638_section_3() =>
        Assert.Equal(
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            new RsaPublicJwk("AQAB", "RSA", Rfc7638Modulus).Thumbprint().ToString());

    [Fact]
    public void The_ec_thumbprint_is_the_one_of_RFC_9449_section_6() =>
        Assert.Equal(
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            new EcPublicJwk(
                "P-256", "EC", "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA").Thumbprint().ToString());

    [Theory]
    [InlineData("P-384", "EC", 43, 43, "/crv")]
    [InlineData("P-256", "OKP", 43, 43, "/kty")]
    [InlineData("P-256", "EC", 42, 43, "/x")]
    [InlineData("P-256", "EC", 43, 44, "/y")]
    public void A_key_of_another_form_is_refused(string crv, string kty, int x, int y, string member) =>
        Assert.Equal(
            ("jwk", member),
            Refusal(() => new EcPublicJwk(crv, kty, new string('A', x), new string('A', y))));

    [Theory]
    [InlineData("AQAC", "RSA", "/e")]
    [InlineData("AQAB", "EC", "/kty")]
    public void An_rsa_key_of_another_form_is_refused(string e, string kty, string member) =>
        Assert.Equal(("jwk", member), Refusal(() => new RsaPublicJwk(e, kty, Rfc7638Modulus)));

    [Fact]
    public void A_modulus_has_exactly_2048_bits_and_is_odd()
    {
        Assert.True(Base64UrlText.TryDecode(Rfc7638Modulus, out byte[] modulus));
        byte[] shorter = modulus[1..], smaller = [(byte)(modulus[0] & 0x7F), .. modulus[1..]];
        byte[] even = [.. modulus[..^1], (byte)(modulus[^1] & 0xFE)];
        Assert.All(
            [shorter, smaller, even, [.. modulus, 1]],
            n => Assert.Equal(("jwk", "/n"), Refusal(() => RsaPublicJwk.FromModulus(n))));
    }

    [Fact]
    public void Coordinates_without_leading_zeros_are_padded()
    {
        EcPublicJwk key = EcPublicJwk.FromXY([1], [2, 3]);
        Assert.Equal("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE", key.X);
        Assert.Equal("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgM", key.Y);
    }

    [Fact]
    public void A_point_off_the_curve_is_refused_when_used_and_verifies_nothing()
    {
        EcPublicJwk key = EcPublicJwk.FromXY([1], [1]);
        Assert.Equal("jwk_point", Assert.Throws<ProtocolException>(() => key.ToEcdsa()).Code);
        Assert.False(Es256.Verify(key, "data"u8, new byte[64]));
    }

    [Fact]
    public void A_key_of_the_bcl_comes_back_the_same()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        EcPublicJwk jwk = EcPublicJwk.From(key);
        using ECDsa back = jwk.ToEcdsa();
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), back.ExportSubjectPublicKeyInfo());
    }

    private static (string, string?) Refusal(Func<object> make)
    {
        ProtocolException refusal = Assert.Throws<ProtocolException>(make);
        return (refusal.Code, refusal.Member);
    }
}
