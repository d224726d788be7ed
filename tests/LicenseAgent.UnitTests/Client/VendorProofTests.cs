using System.Security.Cryptography;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.UnitTests.Daemon.LocalApi;
using Xunit;

namespace LicenseAgent.UnitTests.Client;

public sealed class VendorProofTests : IDisposable
{
    private readonly ECDsa _vendor = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly StandingTime _clock = new(LocalBench.Start);

    public void Dispose() => _vendor.Dispose();

    [Fact]
    public void A_yes_with_the_vendors_license_is_believed() => Assert.Null(Proof().DoubtAbout(Yes()));

    [Fact]
    public void Without_vendor_keys_anything_is_believed() =>
        Assert.Null(new VendorProof([], TimeSpan.Zero, _clock).DoubtAbout(Yes() with { License = null }));

    [Theory]
    [InlineData("no license")]
    [InlineData("garbage")]
    [InlineData("signed by another")]
    [InlineData("signed by another under the vendor's name")]
    [InlineData("not claims")]
    [InlineData("other license id")]
    [InlineData("other product")]
    [InlineData("later end")]
    [InlineData("usable after the end")]
    [InlineData("no usable_until")]
    [InlineData("more features")]
    [InlineData("fewer features")]
    [InlineData("other metadata value")]
    [InlineData("other metadata key")]
    [InlineData("less metadata")]
    public void A_yes_that_the_license_does_not_say_is_doubted(string what) =>
        Assert.NotNull(Proof().DoubtAbout(Wrong(what)));

    [Theory]
    [InlineData(-1, true)]
    [InlineData(0, false)]
    public void A_license_is_doubted_from_its_end_and_the_leeway_on(long ms, bool believed)
    {
        _clock.Now = LocalBench.Claims().ExpiresAt + TimeSpan.FromHours(48) + TimeSpan.FromMilliseconds(ms);
        Assert.Equal(believed, Proof().DoubtAbout(Yes()) is null);
    }

    [Fact]
    public void A_license_proven_before_is_still_compared_with_the_answer()
    {
        VendorProof proof = Proof();
        proof.DoubtAbout(Yes());
        Assert.NotNull(proof.DoubtAbout(Yes() with { Product = "more" }));
    }

    private VendorProof Proof() => new([EcPublicJwk.From(_vendor)], TimeSpan.FromHours(48), _clock);

    private ValidateLicenseResponse Yes() => Yes(Sign(_vendor, Kid(_vendor), LocalBench.Claims().Write()));

    private static ValidateLicenseResponse Yes(string license)
    {
        LicenseClaims claims = LocalBench.Claims();
        return new ValidateLicenseResponse(
            true, ValidationReasons.Valid, default, "NORMAL", "tpm", claims.Sub, claims.Product, claims.ExpiresAt,
            claims.Features, claims.Metadata, 6, claims.ExpiresAt, license);
    }

    private ValidateLicenseResponse Wrong(string what)
    {
        using ECDsa other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] claims = LocalBench.Claims().Write();
        ValidateLicenseResponse yes = Yes();
        return what switch
        {
            "no license" => yes with { License = null },
            "garbage" => yes with { License = "a.b.c" },
            "signed by another" => Yes(Sign(other, Kid(other), claims)),
            "signed by another under the vendor's name" => Yes(Sign(other, Kid(_vendor), claims)),
            "not claims" => Yes(Sign(_vendor, Kid(_vendor), "{}"u8)),
            "other license id" => yes with { LicenseId = "lic-2" },
            "other product" => yes with { Product = "more" },
            "later end" => yes with { ExpiresAt = yes.ExpiresAt + TimeSpan.FromDays(1) },
            "usable after the end" => yes with { UsableUntil = yes.ExpiresAt + TimeSpan.FromMilliseconds(1) },
            "no usable_until" => yes with { UsableUntil = null },
            "more features" => yes with { Features = [.. yes.Features!, "all"] },
            "fewer features" => yes with { Features = [] },
            "other metadata value" => yes with { Metadata = Metadata("shop", "x") },
            "other metadata key" => yes with { Metadata = Metadata("shops", "Zürich <1>") },
            "less metadata" => yes with { Metadata = new Dictionary<string, string>() },
            _ => throw new ArgumentOutOfRangeException(nameof(what)),
        };
    }

    private static Dictionary<string, string> Metadata(string key, string value) =>
        new() { [key] = value, ["tier"] = "" };

    private static string Kid(ECDsa key) => EcPublicJwk.From(key).Thumbprint().ToString();

    private static string Sign(ECDsa key, string kid, ReadOnlySpan<byte> payload) =>
        System.Text.Encoding.ASCII.GetString(CompactJws.Create(
            new JwsHeader(kid, JoseTypes.LicenseJwt), payload, data => Es256.Sign(key, data)));
}
