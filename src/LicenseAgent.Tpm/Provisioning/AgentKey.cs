using System.Security.Cryptography;
using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>One of the agent's two keys: where it is kept, how it is made, and how to see that it works.</summary>
internal sealed record AgentKey(uint Handle, byte[] Kind, byte[] Template, bool Signs)
{
    private const int TrialSize = 32;

    public static AgentKey Signing(uint handle) => new(handle, Templates.SigningKeyKind, Templates.SigningKey, true);

    public static AgentKey Decryption(uint handle) =>
        new(handle, Templates.DecryptionKeyKind, Templates.DecryptionKey, false);

    /// <summary>Uses the key once and checks the outcome against its public half; AuthFailed if it is not for us.</summary>
    public void Try(TpmLink link, TpmSession session, uint key)
    {
        var area = PublicArea.Read(link, key);
        var works = Signs ? TrySign(link, session, key, area) : TryDecrypt(link, session, key, area);
        if (!works)
        {
            throw new TpmException(
                TpmFailure.BadResponse,
                $"The key at 0x{Handle:x8} does not match its public half; the TPM or the bus to it is defective.");
        }
    }

    private static bool TrySign(TpmLink link, TpmSession session, uint key, PublicArea area)
    {
        var digest = RandomNumberGenerator.GetBytes(KeyUse.DigestSize);
        var signature = KeyUse.Sign(link, session, key, digest);
        var (x, y) = area.EccPoint();
        using var verifier = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = x, Y = y },
        });
        return verifier.VerifyHash(digest, signature);
    }

    private static bool TryDecrypt(TpmLink link, TpmSession session, uint key, PublicArea area)
    {
        using var encryptor = RSA.Create(new RSAParameters { Modulus = area.RsaModulus(), Exponent = [1, 0, 1] });
        var plaintext = RandomNumberGenerator.GetBytes(TrialSize);
        var ciphertext = encryptor.Encrypt(plaintext, RSAEncryptionPadding.OaepSHA256);
        var opened = new byte[TrialSize];
        return KeyUse.Decrypt(link, session, key, ciphertext, opened) == TrialSize
            && opened.AsSpan().SequenceEqual(plaintext);
    }
}
