using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Core;
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

    /// <summary>Of the agents' certificates; zero: longer than any run.</summary>
    public TimeSpan CertificateLife { get; init; }
}

/// <summary>Keys, keyset and certificates of the simulated server.</summary>
internal sealed class ServerIdentity
{
    private static readonly DateTimeOffset From = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset Until = new(2090, 1, 1, 0, 0, 0, TimeSpan.Zero);

    // One authority for all runs; nothing of a certificate goes into a trace.
    private static readonly Lazy<X509Certificate2> Authority = new(MakeAuthority);

    // Response and keyset key are exchanged by a roll-over; license keys stay, for licenses last longer.
    private readonly List<EcPublicJwk> _licenses = [];
    private readonly List<SignedKeyset> _links = [];
    private EcPublicJwk _own;
    private EcPublicJwk _response;

    public ServerIdentity(SimRandom chance, UtcTime now)
    {
        _own = StandInCrypto.NewSigningKey(chance);
        _response = StandInCrypto.NewSigningKey(chance);
        _licenses.Add(StandInCrypto.NewSigningKey(chance));
        Publish(_own, now);
        KeysetPin = new KeysetPin(1, _links[0].PayloadSha256);
        BaseKey = chance.Next().ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
        byte[] spki = new byte[32];
        chance.Fill(spki);
        Pin = new SpkiPin(Digest32.From(spki)).ToString();
    }

    public KeysetPin KeysetPin { get; }

    public long KeysetVersion => _links.Count;

    public string LicenseKid => _licenses[^1].Thumbprint().ToString();

    /// <summary>Secrets are derived from it.</summary>
    public string BaseKey { get; }

    public string Pin { get; }

    public string CaCertificate => Base64UrlText.Encode(Authority.Value.RawData);

    /// <summary>What <c>GET /api/v1/keyset</c> gives: the keysets after a number.</summary>
    public byte[] ChainAfter(long version) => KeysetChain.Write([.. _links.Skip((int)Math.Min(version, _links.Count))]);

    /// <summary>New keys for everything; the old license keys go on being good.</summary>
    public void Rollover(SimRandom chance, UtcTime now)
    {
        EcPublicJwk before = _own;
        _own = StandInCrypto.NewSigningKey(chance);
        _response = StandInCrypto.NewSigningKey(chance);
        _licenses.Add(StandInCrypto.NewSigningKey(chance));
        Publish(before, now);
    }

    /// <summary>
    /// A real certificate over the agent's key, because agents check that the two belong together.
    /// </summary>
    /// <param name="life">From when until when it holds; <see langword="null"/>: longer than any run.</param>
    public static string CertificateOver(string request64, (UtcTime From, UtcTime Until)? life)
    {
        (DateTimeOffset from, DateTimeOffset until) = life is { } given
            ? (DateTimeOffset.FromUnixTimeMilliseconds(given.From.UnixMs), DateTimeOffset.FromUnixTimeMilliseconds(given.Until.UnixMs))
            : (From, Until);
        InvariantBroken.Unless(Base64UrlText.TryDecode(request64, out byte[] csr), "A request that is not base64url.");
        CertificateRequest request = CertificateRequest.LoadSigningRequest(csr, HashAlgorithmName.SHA256);
        using ECDsa key = Authority.Value.GetECDsaPrivateKey()!;
        using X509Certificate2 made = request.Create(
            Authority.Value.SubjectName, new LongestSignature(key), from, until, [1]);
        return Base64UrlText.Encode(made.RawData);
    }

    public byte[] SignAnswer(byte[] payload) => CompactJws.Create(
        new JwsHeader(_response.Thumbprint().ToString(), JoseTypes.ServerResponse), payload, data => StandInCrypto.Sign(_response, data));

    public byte[] SignLicense(ReadOnlySpan<byte> data) => StandInCrypto.Sign(_licenses[^1], data);

    private void Publish(EcPublicJwk before, UtcTime now)
    {
        Keyset keyset = new(
            _links.Count + 1, now, now + TimeSpan.FromDays(36_500),
            [
                KeysetKey.Of(_own, KeyScopes.Keyset), KeysetKey.Of(_response, KeyScopes.Response),
                .. _licenses.Select(key => KeysetKey.Of(key, KeyScopes.License)),
            ],
            []);
        EcPublicJwk[] signers = before == _own ? [_own] : [before, _own];
        _links.Add(SignedKeyset.Create(
            keyset, [.. signers.Select(key => new KeysetSigner(
                key.Thumbprint().ToString(), data => StandInCrypto.Sign(key, data)))]));
    }

    private static X509Certificate2 MakeAuthority()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=sim", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(From, Until);
    }
}

/// <summary>
/// ECDSA signatures of the longest form alone: they have 70 to 72 bytes by chance, and the length of a file would differ
/// from run to run. One in four has it.
/// </summary>
internal sealed class LongestSignature(ECDsa key) : X509SignatureGenerator
{
    private const int Length = 72;
    private const int TriesMax = 1_000;

    private readonly X509SignatureGenerator _any = CreateForECDsa(key);

    public override byte[] GetSignatureAlgorithmIdentifier(HashAlgorithmName hashAlgorithm) =>
        _any.GetSignatureAlgorithmIdentifier(hashAlgorithm);

    public override byte[] SignData(byte[] data, HashAlgorithmName hashAlgorithm)
    {
        for (int i = 0; i < TriesMax; i++)
        {
            if (_any.SignData(data, hashAlgorithm) is { Length: Length } signature)
            {
                return signature;
            }
        }

        throw new InvariantBroken($"No signature of {Length} bytes in {TriesMax} tries.");
    }

    protected override PublicKey BuildPublicKey() => _any.PublicKey;
}
