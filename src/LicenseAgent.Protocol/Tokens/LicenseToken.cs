using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Protocol.Tokens;

/// <summary>
/// License tokens: a compact JWS (the license, signed by the server) inside a compact JWE (for one agent and version).
/// The version stands in the outer part alone, so the same signed license can be wrapped anew under a newer secret.
/// </summary>
/// <remarks>
/// An <see cref="AesGcm"/> is not safe on several threads at once; whoever passes one owns it for the call.
/// </remarks>
public static class LicenseToken
{
    /// <summary>Longest token that is looked at, in bytes.</summary>
    public const int MaxBytes = 8192;

    /// <summary>Longest token that is minted, so that wrapping it anew under a longer <c>kid</c> still fits.</summary>
    public const int MintedMaxBytes = 8000;

    private const int IvTextLength = 16;
    private const int TagTextLength = 22;

    /// <summary>
    /// Takes the outer shape apart on public bytes alone: length, five segments, the exact header, the <c>kid</c>, no
    /// encrypted key, lengths of IV and tag, strict base64url throughout.
    /// </summary>
    public static bool TryParseShape(ReadOnlySpan<byte> token, out LicenseTokenShape shape)
    {
        shape = default;
        Span<Range> segments = stackalloc Range[6];
        if (token.Length > MaxBytes || Segments.Split(token, segments) != 5)
            return false;
        ReadOnlySpan<byte> iv = token[segments[2]], ciphertext = token[segments[3]], tag = token[segments[4]];
        if (token[segments[1]].Length != 0 || iv.Length != IvTextLength || tag.Length != TagTextLength
            || ciphertext.Length == 0 || !Base64UrlText.IsCanonical(iv) || !Base64UrlText.IsCanonical(ciphertext)
            || !Base64UrlText.IsCanonical(tag) || !JoseHeader.License.TryRead(token[segments[0]], out string kid)
            || !SecretKid.TryParse(kid, out string agentId, out long version))
        {
            return false;
        }
        shape = new LicenseTokenShape(kid, agentId, version, token[segments[0]], iv, ciphertext, tag);
        return true;
    }

    /// <summary>Decrypts with the content key of the token's <c>kid</c>; false when the tag is wrong.</summary>
    /// <param name="shape">The token's public parts.</param>
    /// <param name="contentKey">A256GCM with a tag of 16 bytes.</param>
    /// <param name="inner">The signed license as compact JWS, not yet verified; empty when false.</param>
    public static bool TryOpen(in LicenseTokenShape shape, AesGcm contentKey, out byte[] inner)
    {
        Span<byte> iv = stackalloc byte[GcmTag.NonceLength];
        Span<byte> tag = stackalloc byte[GcmTag.Length];
        inner = [];
        if (!Base64UrlText.TryDecode(shape.IvText, iv, out _) || !Base64UrlText.TryDecode(shape.TagText, tag, out _)
            || !Base64UrlText.TryDecode(shape.CiphertextText, out byte[] ciphertext))
        {
            return false;
        }
        byte[] plaintext = new byte[ciphertext.Length];
        if (!GcmTag.TryDecrypt(contentKey, iv, ciphertext, tag, plaintext, shape.Aad))
            return false;
        inner = plaintext;
        return true;
    }

    /// <summary>Takes the inner JWS apart; its signature is not checked here.</summary>
    public static bool TryParseInner(ReadOnlySpan<byte> inner, [NotNullWhen(true)] out ParsedJws? jws) =>
        CompactJws.TryParse(inner, JoseTypes.LicenseJwt, MaxBytes, out jws);

    /// <summary>Signs a license and wraps it for one agent and version.</summary>
    /// <param name="claims">What the license says.</param>
    /// <param name="serverKid">Thumbprint of the server's license key.</param>
    /// <param name="agentKid"><c>&lt;agent_id&gt;.v&lt;version&gt;</c>.</param>
    /// <param name="contentKey">The content key of that <c>kid</c>.</param>
    /// <param name="iv12">12 random bytes, never used before with this key.</param>
    /// <param name="sign">Signs with the server's license key.</param>
    /// <exception cref="ProtocolException">Claims out of their limits; <c>token_too_long</c>; <c>kid</c>.</exception>
    public static string Mint(
        LicenseClaims claims, string serverKid, string agentKid, AesGcm contentKey, ReadOnlySpan<byte> iv12,
        Es256Sign sign)
    {
        byte[] inner = CompactJws.Create(new JwsHeader(serverKid, JoseTypes.LicenseJwt), claims.Write(), sign);
        return Wrap(inner, agentKid, contentKey, iv12, MintedMaxBytes);
    }

    /// <summary>Wraps a verified signed license anew, byte for byte, under another version.</summary>
    /// <param name="innerJws">The signed license.</param>
    /// <param name="agentKid"><c>&lt;agent_id&gt;.v&lt;version&gt;</c>.</param>
    /// <param name="contentKey">The content key of that <c>kid</c>.</param>
    /// <param name="iv12">12 random bytes, never used before with this key.</param>
    /// <exception cref="ProtocolException"><c>token_too_long</c>; <c>kid</c>.</exception>
    public static string Rewrap(
        ReadOnlySpan<byte> innerJws, string agentKid, AesGcm contentKey, ReadOnlySpan<byte> iv12) =>
        Wrap(innerJws, agentKid, contentKey, iv12, MaxBytes);

    private static string Wrap(
        ReadOnlySpan<byte> inner, string agentKid, AesGcm contentKey, ReadOnlySpan<byte> iv12, int maxBytes)
    {
        if (!SecretKid.TryParse(agentKid, out _, out _))
            throw new ProtocolException("kid");
        byte[] aad = System.Text.Encoding.ASCII.GetBytes(JoseHeader.License.Encode(agentKid));
        byte[] ciphertext = new byte[inner.Length];
        Span<byte> tag = stackalloc byte[GcmTag.Length];
        contentKey.Encrypt(iv12, inner, ciphertext, tag, aad);
        byte[] token = Segments.Join(aad, [], iv12, ciphertext, tag);
        return token.Length <= maxBytes
            ? System.Text.Encoding.ASCII.GetString(token)
            : throw new ProtocolException("token_too_long");
    }
}
