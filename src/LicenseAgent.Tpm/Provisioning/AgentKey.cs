using System.Security.Cryptography;
using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>One of the agent's two keys: where it is kept, how it is made, and how to see that it works.</summary>
internal sealed record AgentKey(uint Handle, byte[] Kind, byte[] Template, bool Signs)
{
    public static AgentKey Signing(uint handle) => new(handle, Templates.SigningKeyKind, Templates.SigningKey, true);

    public static AgentKey Decryption(uint handle) =>
        new(handle, Templates.DecryptionKeyKind, Templates.DecryptionKey, false);

    /// <summary>
    /// Uses the key once and checks the outcome against its public half; AuthFailed if it is not for us.
    /// </summary>
    public void Try(TpmLink link, TpmSession session, uint key)
    {
        var works = Signs ? TrySign(link, session, key) : KeyUse.OpensTrial(link, session, key);
        if (!works)
        {
            throw new TpmException(
                TpmFailure.BadResponse,
                $"The key at 0x{Handle:x8} does not match its public half; the TPM or the bus to it is defective.");
        }
    }

    private static bool TrySign(TpmLink link, TpmSession session, uint key)
    {
        var digest = RandomNumberGenerator.GetBytes(KeyUse.DigestSize);
        var signature = KeyUse.Sign(link, session, key, digest);
        var (x, y) = PublicArea.Read(link, key).EccPoint();
        using var verifier = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = x, Y = y },
        });
        return verifier.VerifyHash(digest, signature);
    }
}
