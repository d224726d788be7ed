using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>
/// Nonces of requests: the first 16 bytes of SHA-256(32 from the OS ‖ 32 from the TPM), so that neither alone can make
/// them guessable. Without a TPM the OS alone.
/// </summary>
internal sealed class NonceSource(IRandomness randomness, ITpmClock? tpm)
{
    public async Task<Nonce16> NextAsync(CancellationToken cancel)
    {
        byte[] seed = new byte[64];
        randomness.Fill(seed.AsSpan(0, 32));
        if (tpm is null)
        {
            randomness.Fill(seed.AsSpan(32));
        }
        else
        {
            await tpm.GetRandomAsync(seed.AsMemory(32), cancel);
        }

        return Nonce16.From(SHA256.HashData(seed).AsSpan(0, 16));
    }
}
