using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Ports;

/// <summary>
/// The software keys for a lost TPM, on disk under key material that is kept elsewhere. Failures are
/// <see cref="StorageException"/>: a wrong or missing key file looks like a damaged storage, and the message says both.
/// </summary>
internal interface IFallbackKeys
{
    /// <summary>Opens what is stored, or makes and stores it; gives the public halves.</summary>
    /// <param name="anew">What is stored has been used up and is replaced.</param>
    Task<AgentKeyPair> OpenAsync(string agentId, bool anew, CancellationToken cancel);

    /// <summary>ES256 over a SHA-256 digest: r ‖ s, 64 bytes.</summary>
    Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel);

    /// <summary>RSA-OAEP-256 decryption into <paramref name="plain"/>.</summary>
    /// <returns>Bytes written, or -1 when the ciphertext is definitely not for this key.</returns>
    Task<int> UnwrapAsync(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel);

    /// <summary>Forgets the private halves until they are opened again.</summary>
    void Close();
}

/// <summary>What software fallback needs of the world; there is none where it is off.</summary>
/// <param name="Files">The directory of the versions that are made for the software keys.</param>
internal sealed record FallbackPorts(IFallbackKeys Keys, IStateFiles Files);
