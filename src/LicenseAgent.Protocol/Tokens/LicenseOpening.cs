using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Protocol.Tokens;

/// <summary>
/// How opening a license token ended. To a caller outside, all but the first are <c>INVALID_TOKEN</c>.
/// </summary>
public enum LicenseOutcome
{
    /// <summary>Decrypted, verified, well-formed.</summary>
    Opened,

    /// <summary>The tag is wrong: another key, or changed bytes.</summary>
    WrongTag,

    /// <summary>What was encrypted is no signed license.</summary>
    MalformedInner,

    /// <summary>Signed by a key that may not sign licenses.</summary>
    UnknownSigner,

    /// <summary>The signature is wrong.</summary>
    WrongSignature,

    /// <summary>Rightly signed, but not the claims of a license.</summary>
    MalformedClaims,
}

/// <summary>A license whose signature was verified.</summary>
/// <param name="Claims">What it says.</param>
/// <param name="InnerJws">The signed license as it stood in the token.</param>
/// <param name="SignerKid">The key that signed it.</param>
public sealed record VerifiedLicense(LicenseClaims Claims, string InnerJws, string SignerKid);

/// <summary>Finds the key of a <c>kid</c> that may sign licenses now; null if there is none.</summary>
public delegate EcPublicJwk? LicenseSigner(string kid);

/// <summary>
/// Decrypts and verifies a token so that its time tells nothing: every way to fail costs one signature verification and
/// two decryptions, at least one of them failed (the BCL reports those by exception, the costly part).
/// </summary>
public static class LicenseOpening
{
    // The generator of P-256: a valid public key to which nobody knows a signature of anything useful.
    private static readonly EcPublicJwk DummyKey = EcPublicJwk.FromXY(
        Convert.FromHexString("6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"),
        Convert.FromHexString("4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"));

    private static readonly byte[] DummySignature = Es256.Join([1], [1]);

    /// <summary>
    /// Opens a token with the content key of its <c>kid</c>. The key belongs to this call while it runs.
    /// </summary>
    public static LicenseOutcome Open(
        in LicenseTokenShape shape, AesGcm contentKey, LicenseSigner signers, Es256Verify verify,
        out VerifiedLicense? license)
    {
        license = null;
        if (!LicenseToken.TryOpen(shape, contentKey, out byte[] inner))
        {
            DummyVerify(shape.CiphertextText, verify);
            DummyDecrypt(shape, contentKey);
            return LicenseOutcome.WrongTag;
        }
        LicenseOutcome outcome = Verify(inner, signers, verify, out ParsedJws? jws);
        if (outcome != LicenseOutcome.Opened)
        {
            DummyDecrypt(shape, contentKey);
            return outcome;
        }
        try
        {
            LicenseClaims claims = LicenseClaims.Read(jws!.Payload);
            license = new VerifiedLicense(claims, System.Text.Encoding.ASCII.GetString(inner), jws.Kid);
            return LicenseOutcome.Opened;
        }
        catch (ProtocolException)
        {
            // The server signed it: an error of the server's, which no timing can hide or need hide.
            return LicenseOutcome.MalformedClaims;
        }
    }

    /// <summary>The work of one verification over as many bytes as the token's license has, result unused.</summary>
    public static void DummyVerify(ReadOnlySpan<byte> ciphertextText, Es256Verify verify) =>
        verify(DummyKey, ciphertextText[..Base64UrlText.DecodedLength(ciphertextText.Length)], DummySignature);

    private static LicenseOutcome Verify(
        ReadOnlySpan<byte> inner, LicenseSigner signers, Es256Verify verify, out ParsedJws? jws)
    {
        if (!LicenseToken.TryParseInner(inner, out jws))
        {
            verify(DummyKey, inner, DummySignature);
            return LicenseOutcome.MalformedInner;
        }
        if (signers(jws.Kid) is not { } signer)
        {
            verify(DummyKey, jws.SigningInput, DummySignature);
            return LicenseOutcome.UnknownSigner;
        }
        return jws.IsSignedBy(signer, verify) ? LicenseOutcome.Opened : LicenseOutcome.WrongSignature;
    }

    /// <summary>Decrypts with the wrong additional data, which always fails.</summary>
    private static void DummyDecrypt(in LicenseTokenShape shape, AesGcm contentKey)
    {
        var wrong = new LicenseTokenShape(
            shape.Kid, shape.AgentId, shape.Version, [], shape.IvText, shape.CiphertextText, shape.TagText);
        LicenseToken.TryOpen(wrong, contentKey, out _);
    }
}
