using System.Security.Cryptography;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Jose;
using Xunit;

namespace LicenseAgent.UnitTests.Client;

public sealed class VendorKeysTests
{
    [Fact]
    public void Two_public_keys_in_one_text_are_two_keys()
    {
        using ECDsa first = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using ECDsa second = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string pem = first.ExportSubjectPublicKeyInfoPem() + "\n" + second.ExportSubjectPublicKeyInfoPem();
        Assert.Equal([EcPublicJwk.From(first), EcPublicJwk.From(second)], VendorKeys.FromPem(pem));
    }

    [Fact]
    public void A_private_key_is_refused()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Throws<ArgumentException>(() => VendorKeys.FromPem(key.ExportPkcs8PrivateKeyPem()));
    }

    [Fact]
    public void A_key_on_another_curve_is_refused()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        Assert.Throws<ArgumentException>(() => VendorKeys.FromPem(key.ExportSubjectPublicKeyInfoPem()));
    }

    [Fact]
    public void An_RSA_key_is_refused()
    {
        using RSA key = RSA.Create(2048);
        Assert.Throws<ArgumentException>(() => VendorKeys.FromPem(key.ExportSubjectPublicKeyInfoPem()));
    }

    [Fact]
    public void A_text_without_a_key_is_refused() => Assert.Throws<ArgumentException>(() => VendorKeys.FromPem("none"));
}
