using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Daemon.Ports;

/// <summary>The two keys in the TPM. Every call fails with a <see cref="TpmUnavailableException"/>.</summary>
internal interface ITpmKeys
{
    /// <summary>Makes keys and NV indices under <paramref name="keyAuth"/>; may be repeated after a crash.</summary>
    /// <param name="replace">What an earlier enrolment left at the handles and indices makes way.</param>
    Task<TpmBirth> ProvisionAsync(
        ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace, CancellationToken cancel);

    /// <summary>Checks that the TPM is the one recorded and opens a session; needed before any other call.</summary>
    Task<TpmFacts> OpenAsync(TpmAnchor anchor, CancellationToken cancel);

    /// <summary>ES256 over a SHA-256 digest: r ‖ s, 64 bytes.</summary>
    Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel);

    /// <summary>RSA-OAEP-256 decryption into <paramref name="plain"/>.</summary>
    /// <returns>Bytes written, or -1 when the ciphertext is definitely not for this key.</returns>
    Task<int> UnwrapAsync(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel);
}

/// <summary>What provisioning made.</summary>
internal sealed record TpmBirth(EcPublicJwk Signing, RsaPublicJwk Decryption, TpmAnchor Anchor);

/// <summary>
/// What a till remembers of its TPM: Names of SRK and keys, and the auth value of keys and NV indices.
/// </summary>
internal sealed record TpmAnchor(string SrkName, string SigningName, string DecryptionName, byte[] KeyAuth);

/// <summary>What the TPM says of itself.</summary>
/// <param name="OwnerAuthSet">The owner hierarchy has a password.</param>
/// <param name="Clock">When it was opened.</param>
internal sealed record TpmFacts(
    string Manufacturer, string Firmware, long LockoutCounter, bool OwnerAuthSet = false, bool InLockout = false,
    TpmClockReading? Clock = null);
