using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Keysets;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Keysets;

public sealed class SpkiPinTests
{
    private const string Text = "sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    [Fact]
    public void A_pin_is_the_padded_base64_of_a_sha256()
    {
        Assert.Equal(Text, SpkiPin.Of("abc"u8).ToString());
        Assert.Equal(SpkiPin.Of("abc"u8), SpkiPin.Parse(Text));
    }

    [Theory]
    [InlineData("sha256:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=")]
    [InlineData("sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0")]
    [InlineData("sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=")]
    [InlineData("SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")]
    [InlineData("sha256/ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")]
    [InlineData("sha256: ngWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")]
    [InlineData("")]
    [InlineData(null)]
    public void Any_other_text_is_no_pin(string? text)
    {
        Assert.False(SpkiPin.TryParse(text, out _));
        Assert.Equal("pin", Assert.Throws<ProtocolException>(() => SpkiPin.Parse(text!)).Code);
    }

    [Fact]
    public void A_pin_matches_the_certificates_of_one_key_and_no_other()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using ECDsa other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using X509Certificate2 first = SelfSigned(key), second = SelfSigned(key), third = SelfSigned(other);
        SpkiPin pin = SpkiPin.Of(first);
        Assert.Equal(SpkiPin.Of(key.ExportSubjectPublicKeyInfo()), pin);
        Assert.True(pin.Matches(second));
        Assert.False(pin.Matches(third));
    }

    private static X509Certificate2 SelfSigned(ECDsa key) =>
        new CertificateRequest("CN=test", key, HashAlgorithmName.SHA256).CreateSelfSigned(
            DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
}
