using System.Text;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Jose;

/// <summary>What varies in the header of a signed object; <c>alg</c> is always <c>ES256</c>.</summary>
/// <param name="Kid">The signer's key: ASCII letters, digits, <c>-_.#</c>, 1 to 128 characters.</param>
/// <param name="Typ">One of <see cref="JoseTypes"/>.</param>
public sealed record JwsHeader(string Kid, string Typ);

/// <summary>
/// Compact JWS (RFC 7515 §7.1) with ES256. Making one is split in two, so that a signer that answers later, a TPM, can
/// stand between <see cref="SigningInput"/> and <see cref="Assemble"/>.
/// </summary>
public static class CompactJws
{
    private const int SignatureTextLength = 86;

    /// <summary>The bytes to sign: <c>base64url(header).base64url(payload)</c> as ASCII.</summary>
    /// <exception cref="ProtocolException"><c>jose_kid</c>.</exception>
    public static byte[] SigningInput(JwsHeader header, ReadOnlySpan<byte> payload)
    {
        string head = JoseHeader.Signed(header.Typ).Encode(header.Kid);
        byte[] input = new byte[head.Length + 1 + Base64UrlText.EncodedLength(payload.Length)];
        System.Text.Encoding.ASCII.GetBytes(head, input);
        input[head.Length] = (byte)'.';
        Base64UrlText.Encode(payload, input.AsSpan(head.Length + 1));
        return input;
    }

    /// <summary>Appends the signature of 64 bytes to the signing input.</summary>
    public static byte[] Assemble(ReadOnlySpan<byte> signingInput, ReadOnlySpan<byte> signature64)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(signature64.Length, Es256.SignatureLength);
        byte[] token = new byte[signingInput.Length + 1 + SignatureTextLength];
        signingInput.CopyTo(token);
        token[signingInput.Length] = (byte)'.';
        Base64UrlText.Encode(signature64, token.AsSpan(signingInput.Length + 1));
        return token;
    }

    /// <summary>Makes and signs a token with a signer that answers at once.</summary>
    public static byte[] Create(JwsHeader header, ReadOnlySpan<byte> payload, Es256Sign sign)
    {
        byte[] input = SigningInput(header, payload);
        return Assemble(input, sign(input));
    }

    /// <summary>
    /// Takes a token apart: three segments of strict base64url, exactly the header of <paramref name="typ"/>, a
    /// signature of 64 bytes. The signature is not checked here; the payload is bytes and nothing more until it is.
    /// </summary>
    /// <exception cref="ProtocolException"><c>jws</c>.</exception>
    public static ParsedJws Parse(ReadOnlySpan<byte> token, string typ, int maxBytes) =>
        TryParse(token, typ, maxBytes, out ParsedJws? jws) ? jws : throw new ProtocolException("jws");

    /// <summary>As <see cref="Parse"/>, without an exception for what is not such a token.</summary>
    public static bool TryParse(
        ReadOnlySpan<byte> token, string typ, int maxBytes,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ParsedJws? jws)
    {
        jws = null;
        Span<Range> segments = stackalloc Range[4];
        if (token.Length > maxBytes || Segments.Split(token, segments) != 3
            || !JoseHeader.Signed(typ).TryRead(token[segments[0]], out string kid)
            || token[segments[2]].Length != SignatureTextLength
            || !Base64UrlText.TryDecode(token[segments[2]], out byte[] signature)
            || !Base64UrlText.TryDecode(token[segments[1]], out byte[] payload))
        {
            return false;
        }
        jws = new ParsedJws(kid, payload, token[..segments[1].End.Value].ToArray(), signature);
        return true;
    }
}

/// <summary>A JWS taken apart, its signature not yet checked.</summary>
public sealed class ParsedJws
{
    private readonly byte[] payload;
    private readonly byte[] signingInput;
    private readonly byte[] signature;

    internal ParsedJws(string kid, byte[] payload, byte[] signingInput, byte[] signature)
    {
        Kid = kid;
        this.payload = payload;
        this.signingInput = signingInput;
        this.signature = signature;
    }

    /// <summary>The key id the header names; who that is, is the caller's knowledge.</summary>
    public string Kid { get; }

    /// <summary>The payload's bytes.</summary>
    public ReadOnlySpan<byte> Payload => payload;

    /// <summary>The bytes that were signed.</summary>
    public ReadOnlySpan<byte> SigningInput => signingInput;

    /// <summary>The signature, 64 bytes, r ‖ s.</summary>
    public ReadOnlySpan<byte> Signature => signature;

    /// <summary>Whether the signature is this key's.</summary>
    public bool IsSignedBy(EcPublicJwk key, Es256Verify verify) => verify(key, signingInput, signature);
}
