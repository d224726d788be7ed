using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Jose;

/// <summary>
/// A P-256 public key as JWK (RFC 7517): exactly <c>{"crv":"P-256","kty":"EC","x":…,"y":…}</c>, coordinates 32 bytes.
/// The form is checked when it is made, the point when it is used.
/// </summary>
/// <exception cref="ProtocolException"><c>jwk</c> with the member.</exception>
public sealed record EcPublicJwk(string Crv, string Kty, string X, string Y)
{
    /// <summary>The curve, always <c>P-256</c>.</summary>
    public string Crv { get; } = Crv == "P-256" ? "P-256" : throw new ProtocolException("jwk", "/crv");

    /// <summary>The key type, always <c>EC</c>.</summary>
    public string Kty { get; } = Kty == "EC" ? "EC" : throw new ProtocolException("jwk", "/kty");

    /// <summary>The x coordinate, 43 characters of base64url.</summary>
    public string X { get; } = Coordinate(X) is not null ? X : throw new ProtocolException("jwk", "/x");

    /// <summary>The y coordinate, 43 characters of base64url.</summary>
    public string Y { get; } = Coordinate(Y) is not null ? Y : throw new ProtocolException("jwk", "/y");

    /// <summary>
    /// The key of two coordinates, each at most 32 bytes big-endian; shorter ones are padded on the left.
    /// </summary>
    public static EcPublicJwk FromXY(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y) =>
        new("P-256", "EC", Base64UrlText.Encode(Padded(x)), Base64UrlText.Encode(Padded(y)));

    /// <summary>The public half of a key.</summary>
    public static EcPublicJwk From(ECDsa key)
    {
        ECParameters parameters = key.ExportParameters(includePrivateParameters: false);
        return FromXY(parameters.Q.X, parameters.Q.Y);
    }

    /// <summary>The thumbprint of RFC 7638 with SHA-256; its text is the key's <c>kid</c>.</summary>
    public Digest32 Thumbprint() => Digest32.Sha256(
        System.Text.Encoding.ASCII.GetBytes($$"""{"crv":"P-256","kty":"EC","x":"{{X}}","y":"{{Y}}"}"""));

    /// <summary>The key for the BCL; the caller disposes it.</summary>
    /// <exception cref="ProtocolException"><c>jwk_point</c>: not a point of the curve.</exception>
    public ECDsa ToEcdsa()
    {
        try
        {
            return ECDsa.Create(new ECParameters
            {
                Curve = ECCurve.NamedCurves.nistP256,
                Q = new ECPoint { X = Coordinate(X), Y = Coordinate(Y) },
            });
        }
        catch (CryptographicException e)
        {
            throw new ProtocolException("jwk_point", inner: e);
        }
    }

    private static byte[]? Coordinate(string? text) =>
        text is { Length: Digest32.TextLength } && Base64UrlText.TryDecode(text, out byte[] bytes) ? bytes : null;

    private static byte[] Padded(ReadOnlySpan<byte> coordinate)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(coordinate.Length, 32);
        byte[] padded = new byte[32];
        coordinate.CopyTo(padded.AsSpan(32 - coordinate.Length));
        return padded;
    }
}
