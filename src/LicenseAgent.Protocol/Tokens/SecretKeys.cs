using System.Globalization;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Tokens;

/// <summary>
/// The keys derived from a secret: HKDF-SHA256 (RFC 5869) with empty salt, one <c>info</c> per purpose. The secret
/// itself is never used as a key, so that what one purpose leaks says nothing about another.
/// </summary>
public static class SecretKeys
{
    /// <summary>Length of a secret and of each key but the check value, in bytes.</summary>
    public const int KeyLength = 32;

    private const string TokenContentPrefix = "license-agent/token/A256GCM/";

    /// <summary>
    /// The A256GCM key of license tokens under this <c>kid</c>; info <c>license-agent/token/A256GCM/&lt;kid&gt;</c>.
    /// </summary>
    public static void TokenContentKey(ReadOnlySpan<byte> secret32, string kid, Span<byte> key32)
    {
        if (!SecretKid.TryParse(kid, out _, out _))
            throw new ProtocolException("kid");
        Derive(secret32, System.Text.Encoding.ASCII.GetBytes(TokenContentPrefix + kid), key32, KeyLength);
    }

    /// <summary>The key check value; info <c>license-agent/kcv</c>, 8 bytes.</summary>
    public static Kcv Kcv(ReadOnlySpan<byte> secret32)
    {
        Span<byte> value = stackalloc byte[Encoding.Kcv.Length];
        Derive(secret32, "license-agent/kcv"u8, value, Encoding.Kcv.Length);
        return Encoding.Kcv.From(value);
    }

    /// <summary>The proof-of-possession key; info <c>license-agent/pop</c>, 32 bytes.</summary>
    public static void PopKey(ReadOnlySpan<byte> secret32, Span<byte> key32) =>
        Derive(secret32, "license-agent/pop"u8, key32, KeyLength);

    /// <summary>
    /// The proof in a confirm request: HMAC-SHA256(pop key,
    /// <c>confirm|&lt;agent_id&gt;|&lt;version&gt;|&lt;nonce&gt;</c>), the nonce as its 22 characters. Bound to the
    /// message's nonce, a proof works once. Compare with <see cref="Digest32.FixedTimeEquals"/>.
    /// </summary>
    public static Digest32 ConfirmProof(ReadOnlySpan<byte> popKey32, string agentId, long version, Nonce16 nonce)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(popKey32.Length, KeyLength);
        string text = string.Create(CultureInfo.InvariantCulture, $"confirm|{agentId}|{version}|{nonce}");
        Span<byte> mac = stackalloc byte[Digest32.Length];
        HMACSHA256.HashData(popKey32, System.Text.Encoding.ASCII.GetBytes(text), mac);
        return Digest32.From(mac);
    }

    private static void Derive(ReadOnlySpan<byte> secret32, ReadOnlySpan<byte> label, Span<byte> key, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(secret32.Length, KeyLength);
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, length);
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret32, key, salt: [], info: label);
    }
}
