using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Jose;

/// <summary>
/// A secret on its way to an agent: compact JWE (RFC 7516), RSA-OAEP-256 with an empty label to the decryption key in
/// the agent's TPM, A256GCM, header <c>{"alg","enc","kid","typ"}</c>, plaintext the 32 bytes.
/// </summary>
public static class SecretJwe
{
    /// <summary>Length of a secret, in bytes.</summary>
    public const int SecretLength = 32;

    /// <summary>Longest token accepted, in bytes; a real one has about 650.</summary>
    public const int MaxBytes = 1024;

    private const int EncryptedKeyTextLength = 342;

    /// <summary>
    /// Encrypts a secret. <paramref name="cek32"/> and <paramref name="iv12"/> are random and used once; the caller
    /// wipes the key. (The padding's randomness is the BCL's.)
    /// </summary>
    public static byte[] Seal(
        RsaPublicJwk key, string kid, ReadOnlySpan<byte> secret32, ReadOnlySpan<byte> iv12, ReadOnlySpan<byte> cek32)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(secret32.Length, SecretLength);
        if (!SecretKid.TryParse(kid, out _, out _))
            throw new ProtocolException("kid");
        byte[] aad = System.Text.Encoding.ASCII.GetBytes(JoseHeader.Secret.Encode(kid));
        Span<byte> ciphertext = stackalloc byte[SecretLength];
        Span<byte> tag = stackalloc byte[GcmTag.Length];
        using (var gcm = new AesGcm(cek32, GcmTag.Length))
            gcm.Encrypt(iv12, secret32, ciphertext, tag, aad);
        byte[] encryptedKey = new byte[RsaPublicJwk.ModulusLength];
        using (RSA rsa = key.ToRsa())
            rsa.Encrypt(cek32, encryptedKey, RSAEncryptionPadding.OaepSHA256);
        return Segments.Join(aad, encryptedKey, iv12, ciphertext, tag);
    }

    /// <summary>Takes a token apart without any cryptography.</summary>
    /// <exception cref="ProtocolException"><c>secret_jwe</c>.</exception>
    public static ParsedSecretJwe Parse(ReadOnlySpan<byte> token)
    {
        Span<Range> segments = stackalloc Range[6];
        if (token.Length > MaxBytes || Segments.Split(token, segments) != 5
            || !JoseHeader.Secret.TryRead(token[segments[0]], out string kid)
            || !SecretKid.TryParse(kid, out string agentId, out long version)
            || token[segments[1]].Length != EncryptedKeyTextLength
            || !Base64UrlText.TryDecode(token[segments[1]], out byte[] encryptedKey)
            || !Base64UrlText.TryDecode(token[segments[2]], out byte[] iv) || iv.Length != GcmTag.NonceLength
            || !Base64UrlText.TryDecode(token[segments[3]], out byte[] ciphertext) || ciphertext.Length != SecretLength
            || !Base64UrlText.TryDecode(token[segments[4]], out byte[] tag) || tag.Length != GcmTag.Length)
        {
            throw new ProtocolException("secret_jwe");
        }
        byte[] aad = token[segments[0]].ToArray();
        return new ParsedSecretJwe(kid, agentId, version, aad, encryptedKey, iv, ciphertext, tag);
    }

    /// <summary>
    /// Decrypts with the content key that the TPM gave back for <see cref="ParsedSecretJwe.EncryptedKey"/>. False when
    /// the key does not fit; <paramref name="secret32"/> is then zero.
    /// </summary>
    public static bool Open(ParsedSecretJwe parsed, ReadOnlySpan<byte> cek32, Span<byte> secret32)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(secret32.Length, SecretLength);
        secret32.Clear();
        if (cek32.Length != 32)
            return false;
        using var gcm = new AesGcm(cek32, GcmTag.Length);
        return GcmTag.TryDecrypt(gcm, parsed.Iv, parsed.Ciphertext, parsed.Tag, secret32, parsed.Aad);
    }
}

/// <summary>An encrypted secret taken apart.</summary>
public sealed class ParsedSecretJwe
{
    private readonly byte[] aad;
    private readonly byte[] encryptedKey;
    private readonly byte[] iv;
    private readonly byte[] ciphertext;
    private readonly byte[] tag;

    internal ParsedSecretJwe(
        string kid, string agentId, long version,
        byte[] aad, byte[] encryptedKey, byte[] iv, byte[] ciphertext, byte[] tag)
    {
        (Kid, AgentId, Version) = (kid, agentId, version);
        (this.aad, this.encryptedKey, this.iv, this.ciphertext, this.tag) = (aad, encryptedKey, iv, ciphertext, tag);
    }

    /// <summary>
    /// <c>&lt;agent_id&gt;.v&lt;version&gt;</c>, authenticated once <see cref="SecretJwe.Open"/> succeeded.
    /// </summary>
    public string Kid { get; }

    /// <summary>The agent the secret is for.</summary>
    public string AgentId { get; }

    /// <summary>The secret's version.</summary>
    public long Version { get; }

    /// <summary>The content key, RSA-OAEP-256 encrypted, 256 bytes: what the TPM decrypts.</summary>
    public ReadOnlySpan<byte> EncryptedKey => encryptedKey;

    internal ReadOnlySpan<byte> Aad => aad;

    internal ReadOnlySpan<byte> Iv => iv;

    internal ReadOnlySpan<byte> Ciphertext => ciphertext;

    internal ReadOnlySpan<byte> Tag => tag;
}
