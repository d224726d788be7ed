using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Keysets;

/// <summary>A JWS in General JSON Serialization (RFC 7515 §7.2.1), texts as they stand.</summary>
public sealed record GeneralJws(string Payload, IReadOnlyList<GeneralJwsSignature> Signatures);

/// <summary>
/// One signature of a <see cref="GeneralJws"/>: its protected header and the signature, both base64url.
/// </summary>
public sealed record GeneralJwsSignature(string Protected, string Signature);

/// <summary>One signer of a keyset: a key of <c>keyset</c> scope.</summary>
public sealed record KeysetSigner(string Kid, Es256Sign Sign);

/// <summary>
/// A keyset with its signatures, taken apart but not verified; the payload's bytes are kept as they came.
/// </summary>
public sealed class SignedKeyset
{
    // Previous and own key make two; a roll-over that signs with spares needs a few more.
    private const int MaxSignatures = 8;

    private readonly ParsedJws[] signatures;

    private SignedKeyset(GeneralJws jws, byte[] payload, ParsedJws[] signatures)
    {
        Jws = jws;
        Keyset = Keyset.Read(payload);
        PayloadSha256 = Digest32.Sha256(payload);
        this.signatures = signatures;
    }

    /// <summary>The keyset.</summary>
    public Keyset Keyset { get; }

    /// <summary>SHA-256 of the payload's bytes: what a pin names.</summary>
    public Digest32 PayloadSha256 { get; }

    /// <summary>As it is sent and stored.</summary>
    public GeneralJws Jws { get; }

    /// <summary>
    /// Signs a keyset: by a key of the one before and by one of its own (the same one counts for both).
    /// </summary>
    public static SignedKeyset Create(Keyset keyset, params IReadOnlyList<KeysetSigner> signers)
    {
        byte[] payload = keyset.Write();
        var signatures = new List<GeneralJwsSignature>();
        foreach (KeysetSigner signer in signers)
        {
            byte[] input = CompactJws.SigningInput(new JwsHeader(signer.Kid, JoseTypes.Keyset), payload);
            string head = System.Text.Encoding.ASCII.GetString(input.AsSpan(0, input.IndexOf((byte)'.')));
            signatures.Add(new GeneralJwsSignature(head, Base64UrlText.Encode(signer.Sign(input))));
        }
        return Parse(new GeneralJws(Base64UrlText.Encode(payload), signatures));
    }

    /// <summary>Reads one signed keyset from JSON.</summary>
    /// <exception cref="ProtocolException"><c>json_… keyset_jws</c>, or as <see cref="Keyset.Read"/>.</exception>
    public static SignedKeyset Read(ReadOnlySpan<byte> json) =>
        Parse(StrictJson.Read(json, KeysetsJson.Strict.GeneralJws));

    /// <summary>Takes one signed keyset apart.</summary>
    /// <exception cref="ProtocolException"><c>keyset_jws</c>, or as <see cref="Keyset.Read"/>.</exception>
    public static SignedKeyset Parse(GeneralJws jws)
    {
        if (jws.Signatures.Count is < 1 or > MaxSignatures || !Base64UrlText.TryDecode(jws.Payload, out byte[] payload))
            throw new ProtocolException("keyset_jws");
        return new SignedKeyset(jws, payload, [.. jws.Signatures.Select(s => Compact(jws.Payload, s))]);
    }

    /// <summary>The JSON of this keyset.</summary>
    public byte[] Write() => StrictJson.Write(Jws, KeysetsJson.Strict.GeneralJws);

    /// <summary>Whether a <c>keyset</c>-scope key of <paramref name="signers"/> signed this.</summary>
    public bool IsSignedByOneOf(Keyset signers, Es256Verify verify)
    {
        foreach (ParsedJws signature in signatures)
        {
            if (signers.Find(signature.Kid, KeyScopes.Keyset) is { } key && signature.IsSignedBy(key, verify))
                return true;
        }
        return false;
    }

    /// <summary>Each signature of the general form is a compact JWS with the payload left out once.</summary>
    private static ParsedJws Compact(string payload, GeneralJwsSignature? signature)
    {
        byte[] token = System.Text.Encoding.UTF8.GetBytes($"{signature?.Protected}.{payload}.{signature?.Signature}");
        return CompactJws.TryParse(token, JoseTypes.Keyset, token.Length, out ParsedJws? jws)
            ? jws
            : throw new ProtocolException("keyset_jws");
    }
}
