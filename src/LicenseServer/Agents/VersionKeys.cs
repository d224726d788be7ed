using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;
using LicenseServer.Keys;

namespace LicenseServer.Agents;

/// <summary>What is computed from an agent's secrets. A secret exists here for the length of one call, on the
/// stack.</summary>
internal sealed class VersionKeys(ServerKeys keys, FillRandom random)
{
    public int CurrentEpoch => keys.CurrentEpoch;

    public Kcv KcvOf(string agentId, long version, int epoch)
    {
        Span<byte> secret = stackalloc byte[ServerKeys.SecretLength];
        keys.DeriveSecret(agentId, version, epoch, secret);
        var kcv = SecretKeys.Kcv(secret);
        CryptographicOperations.ZeroMemory(secret);
        return kcv;
    }

    /// <summary>The epoch, newest first, in which the version has this check value; null when in none.</summary>
    public int? EpochOf(string agentId, long version, Kcv kcv)
    {
        foreach (var epoch in keys.Epochs)
        {
            if (KcvOf(agentId, version, epoch) == kcv) return epoch;
        }

        return null;
    }

    /// <summary>Whether the sender of a confirm holds the version's secret.</summary>
    public bool IsProof(string agentId, long version, int epoch, Nonce16 nonce, Digest32 proof)
    {
        Span<byte> secret = stackalloc byte[ServerKeys.SecretLength];
        Span<byte> popKey = stackalloc byte[SecretKeys.KeyLength];
        keys.DeriveSecret(agentId, version, epoch, secret);
        SecretKeys.PopKey(secret, popKey);
        var expected = SecretKeys.ConfirmProof(popKey, agentId, version, nonce);
        CryptographicOperations.ZeroMemory(secret);
        CryptographicOperations.ZeroMemory(popKey);
        return expected.FixedTimeEquals(proof);
    }

    /// <summary>The secret, encrypted to the decryption key in the agent's TPM.</summary>
    public string Wrap(string agentId, long version, int epoch, RsaPublicJwk key)
    {
        Span<byte> secret = stackalloc byte[ServerKeys.SecretLength];
        Span<byte> contentKey = stackalloc byte[32];
        Span<byte> iv = stackalloc byte[12];
        random(contentKey);
        random(iv);
        keys.DeriveSecret(agentId, version, epoch, secret);
        var sealedSecret = SecretJwe.Seal(key, SecretKid.Format(agentId, version), secret, iv, contentKey);
        CryptographicOperations.ZeroMemory(secret);
        CryptographicOperations.ZeroMemory(contentKey);
        return Encoding.ASCII.GetString(sealedSecret);
    }

    /// <summary>The key of license tokens under the agent's version; the caller disposes it.</summary>
    public AesGcm TokenKey(string agentId, long version, int epoch)
    {
        Span<byte> secret = stackalloc byte[ServerKeys.SecretLength];
        Span<byte> key = stackalloc byte[SecretKeys.KeyLength];
        keys.DeriveSecret(agentId, version, epoch, secret);
        SecretKeys.TokenContentKey(secret, SecretKid.Format(agentId, version), key);
        var gcm = new AesGcm(key, AesGcm.TagByteSizes.MaxSize);
        CryptographicOperations.ZeroMemory(secret);
        CryptographicOperations.ZeroMemory(key);
        return gcm;
    }
}
