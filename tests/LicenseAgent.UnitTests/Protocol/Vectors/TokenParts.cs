using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>
/// A license token while it is being made, every part open to change, built on the BCL alone: a vector must not be
/// right only because writer and reader share a mistake.
/// </summary>
internal sealed record TokenParts
{
    public const string AgentId = "pos-001";
    public const string Kid = "pos-001.v7";
    public const string OuterHeader =
        """{"alg":"dir","enc":"A256GCM","kid":"pos-001.v7","cty":"JWT","typ":"license+jwe"}""";

    public const string Claims =
        """{"iss":"license.example","sub":"lic-0001","aud":"pos-001","jti":"tok-0001","iat":1795100000,"""
        + "\"nbf\":1795100000,\"exp\":1826636000,\"product\":\"till\",\"features\":[\"receipts\",\"scales\"],"
        + "\"metadata\":{\"shop\":\"17\"}}";

    public static byte[] Secret { get; } = Fixed("secret of pos-001, version 7", 32);

    public static FixedEcKey Server { get; } = FixedEcKey.Named("license server, license key");

    public static FixedEcKey Attacker { get; } = FixedEcKey.Named("attacker");

    public static string InnerHeader => $$"""{"alg":"ES256","kid":"{{Server.Kid}}","typ":"license+jwt"}""";

    public string Outer { get; init; } = OuterHeader;

    /// <summary>Replaces the outer header after the token was sealed.</summary>
    public string? OuterAfterwards { get; init; }

    public string Inner { get; init; } = InnerHeader;

    public byte[] Payload { get; init; } = Utf8(Claims);

    public Func<byte[], byte[]> Sign { get; init; } = input => Server.Sign(input);

    /// <summary>Replaces the whole inner JWS.</summary>
    public string? Plaintext { get; init; }

    public byte[] Key { get; init; } = ContentKey(Kid);

    public byte[] Iv { get; init; } = Fixed("iv", 12);

    public string EncryptedKey { get; init; } = "";

    /// <summary>Last changes to the five segments.</summary>
    public Func<string[], string[]> Reshape { get; init; } = segments => segments;

    public static TokenParts WithClaims(string json) => new() { Payload = Utf8(json) };

    /// <summary>The claims with one text replaced, which must be there.</summary>
    public static TokenParts With(string text, string other) => Claims.Contains(text, StringComparison.Ordinal)
        ? WithClaims(Claims.Replace(text, other, StringComparison.Ordinal))
        : throw new InvalidOperationException($"The claims do not contain {text}.");

    public static byte[] ContentKey(string kid) => HKDF.DeriveKey(
        HashAlgorithmName.SHA256, Secret, 32, salt: [], info: Utf8("license-agent/token/A256GCM/" + kid));

    public static byte[] Fixed(string name, int length) =>
        SHA256.HashData(Utf8("license-agent/vectors/" + name))[..length];

    public static byte[] Utf8(string text) => System.Text.Encoding.UTF8.GetBytes(text);

    public static string Encode(string text) => Base64UrlText.Encode(Utf8(text));

    public string InnerJws()
    {
        string input = $"{Encode(Inner)}.{Base64UrlText.Encode(Payload)}";
        return $"{input}.{Base64UrlText.Encode(Sign(Utf8(input)))}";
    }

    public string Token()
    {
        string outer = Encode(Outer);
        byte[] plaintext = Utf8(Plaintext ?? InnerJws());
        byte[] ciphertext = new byte[plaintext.Length], tag = new byte[16];

        // A header is wrong in another way than its IV's length: seal with twelve bytes, show what the row asks for.
        using (var gcm = new AesGcm(Key, 16))
            gcm.Encrypt((byte[])[.. Iv.Concat(new byte[12]).Take(12)], plaintext, ciphertext, tag, Utf8(outer));
        string[] segments =
        [
            OuterAfterwards is null ? outer : Encode(OuterAfterwards), EncryptedKey, Base64UrlText.Encode(Iv),
            Base64UrlText.Encode(ciphertext), Base64UrlText.Encode(tag),
        ];
        return string.Join('.', Reshape(segments));
    }
}
