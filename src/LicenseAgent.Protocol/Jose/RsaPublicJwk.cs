using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Jose;

/// <summary>
/// An RSA-2048 public key as JWK: exactly <c>{"e":"AQAB","kty":"RSA","n":…}</c>, a modulus of 2048 bits.
/// </summary>
/// <exception cref="ProtocolException"><c>jwk</c> with the member.</exception>
public sealed record RsaPublicJwk(string E, string Kty, string N)
{
    /// <summary>Length of the modulus, and of what is encrypted to the key, in bytes.</summary>
    public const int ModulusLength = 256;

    /// <summary>The exponent 65537, always <c>AQAB</c>.</summary>
    public string E { get; } = E == "AQAB" ? "AQAB" : throw new ProtocolException("jwk", "/e");

    /// <summary>The key type, always <c>RSA</c>.</summary>
    public string Kty { get; } = Kty == "RSA" ? "RSA" : throw new ProtocolException("jwk", "/kty");

    /// <summary>The modulus, 342 characters of base64url.</summary>
    public string N { get; } = Modulus(N) is not null ? N : throw new ProtocolException("jwk", "/n");

    /// <summary>The key of a modulus of 256 bytes, big-endian.</summary>
    public static RsaPublicJwk FromModulus(ReadOnlySpan<byte> modulus) =>
        new("AQAB", "RSA", Base64UrlText.Encode(modulus));

    /// <summary>The thumbprint of RFC 7638 with SHA-256.</summary>
    public Digest32 Thumbprint() => Digest32.Sha256(
        System.Text.Encoding.ASCII.GetBytes($$"""{"e":"AQAB","kty":"RSA","n":"{{N}}"}"""));

    /// <summary>The key for the BCL; the caller disposes it.</summary>
    public RSA ToRsa() => RSA.Create(new RSAParameters { Exponent = [1, 0, 1], Modulus = Modulus(N) });

    private static byte[]? Modulus(string? text) =>
        Base64UrlText.TryDecode(text, out byte[] bytes) && bytes.Length == ModulusLength
            && bytes[0] >= 0x80 && (bytes[^1] & 1) == 1 ? bytes : null;
}
