using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World.Server;

/// <summary>When the simulated world begins, and when the agent's program was built.</summary>
internal static class SimEpoch
{
    public static UtcTime Start { get; } = new(1_772_323_200_000); // 2026-03-01

    public static UtcTime Built { get; } = new(1_768_435_200_000); // 2026-01-15
}

/// <summary>The server's times.</summary>
internal sealed record ServerPolicy(TimeSpan RotationInterval, TimeSpan GracePeriod, TimeSpan CheckInInterval)
{
    public TimeSpan ConfirmWithin { get; init; } = TimeSpan.FromHours(1);
}

/// <summary>Keys, keyset and certificates of the simulated server.</summary>
internal sealed class ServerIdentity
{
    // A real certificate, for agents read their own to know when it ends. Making one costs more than a simulated day;
    // one is enough for all of them, and nothing of it goes into a trace.
    private static readonly Lazy<string> Certificate = new(MakeCertificate);

    private readonly EcPublicJwk _response;
    private readonly EcPublicJwk _license;

    public ServerIdentity(SimRandom chance, UtcTime now)
    {
        EcPublicJwk own = StandInCrypto.NewSigningKey(chance);
        _response = StandInCrypto.NewSigningKey(chance);
        _license = StandInCrypto.NewSigningKey(chance);
        Keyset keyset = new(
            1, now, now + TimeSpan.FromDays(36_500),
            [
                KeysetKey.Of(own, KeyScopes.Keyset), KeysetKey.Of(_response, KeyScopes.Response),
                KeysetKey.Of(_license, KeyScopes.License),
            ],
            []);
        SignedKeyset signed = SignedKeyset.Create(
            keyset, new KeysetSigner(own.Thumbprint().ToString(), data => StandInCrypto.Sign(own, data)));
        KeysetPin = new KeysetPin(1, signed.PayloadSha256);
        Chain = KeysetChain.Write([signed]);
        LicenseKid = _license.Thumbprint().ToString();
        ResponseKid = _response.Thumbprint().ToString();
        BaseKey = chance.Next().ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
        byte[] spki = new byte[32];
        chance.Fill(spki);
        Pin = new SpkiPin(Digest32.From(spki)).ToString();
    }

    public KeysetPin KeysetPin { get; }

    /// <summary>What <c>GET /api/v1/keyset</c> gives.</summary>
    public byte[] Chain { get; }

    public string LicenseKid { get; }

    public string ResponseKid { get; }

    /// <summary>Secrets are derived from it.</summary>
    public string BaseKey { get; }

    public string Pin { get; }

    public string CaCertificate => Certificate.Value;

    public string AgentCertificate => Certificate.Value;

    public byte[] SignAnswer(byte[] payload) => CompactJws.Create(
        new JwsHeader(ResponseKid, JoseTypes.ServerResponse), payload, data => StandInCrypto.Sign(_response, data));

    public byte[] SignLicense(ReadOnlySpan<byte> data) => StandInCrypto.Sign(_license, data);

    private static string MakeCertificate()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=sim", key, HashAlgorithmName.SHA256);
        using X509Certificate2 made = request.CreateSelfSigned(
            new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), new DateTimeOffset(2090, 1, 1, 0, 0, 0, TimeSpan.Zero));
        return Base64UrlText.Encode(made.RawData);
    }
}
