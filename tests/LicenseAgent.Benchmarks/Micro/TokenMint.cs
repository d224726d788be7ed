using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Benchmarks.Micro;

/// <summary>A license server's signing key and the content key of one version, to mint tokens with.</summary>
internal sealed class TokenMint : IDisposable
{
    public const string AgentId = "pos-001";
    public const long Version = 6;
    public static readonly string Kid = SecretKid.Format(AgentId, Version);
    public static readonly UtcTime Start = new(1_900_000_000_000);
    public static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly byte[] _iv = new byte[12];

    public TokenMint()
    {
        Content = RandomNumberGenerator.GetBytes(32);
        Gcm = new AesGcm(Content, 16);
        PublicKey = EcPublicJwk.From(_key);
        ServerKid = PublicKey.Thumbprint().ToString();
    }

    public byte[] Content { get; }

    public AesGcm Gcm { get; }

    public EcPublicJwk PublicKey { get; }

    public string ServerKid { get; }

    public static LicenseClaims Claims(string license = "lic-1") => new(
        "license.example", license, [AgentId], "jti-1", Start.UnixSeconds - 60, Start.UnixSeconds - 60,
        (Start + 30 * Day).UnixSeconds, "till", ["sale", "return"], new Dictionary<string, string> { ["shop"] = "1" });

    public string Mint(LicenseClaims claims) =>
        LicenseToken.Mint(claims, ServerKid, Kid, Gcm, NextIv(), data => Es256.Sign(_key, data));

    public byte[] MintBytes(LicenseClaims claims) => Encoding.ASCII.GetBytes(Mint(claims));

    public ReadOnlySpan<byte> NextIv()
    {
        RandomNumberGenerator.Fill(_iv);
        return _iv;
    }

    public void Dispose()
    {
        Gcm.Dispose();
        _key.Dispose();
    }
}
