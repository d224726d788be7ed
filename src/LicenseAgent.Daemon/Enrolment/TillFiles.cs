using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Daemon.Enrolment;

/// <summary>The identity's files: <c>agent.json</c>, <c>keysets.json</c>, <c>tls.pem</c> (key, then chain).</summary>
internal sealed class TillFiles(IStateFiles files)
{
    public const string Keysets = "keysets.json";
    public const string Tls = "tls.pem";

    /// <exception cref="IdentityDamagedException">There is one, and it is not what was written.</exception>
    public async Task<AgentFile?> ReadAgentAsync(CancellationToken cancel)
    {
        if (await files.ReadAsync(AgentFile.Name, cancel) is not { } bytes)
        {
            return null;
        }

        try
        {
            return StateJson.Read(bytes, StateJson.Strict.AgentFile, AgentFile.Name, AgentFile.CurrentFormat);
        }
        catch (ProtocolException e)
        {
            throw new IdentityDamagedException(
                LockReason.IdentityDamaged, $"{AgentFile.Name} in the state directory is damaged ({e.Message}).", e);
        }
    }

    public Task SaveAgentAsync(AgentFile agent, CancellationToken cancel) =>
        files.ReplaceAsync(AgentFile.Name, StrictJson.Write(agent, StateJson.Strict.AgentFile), cancel);

    /// <summary>The chain on disk, verified from the pin of the bundle; null where it is missing or damaged.</summary>
    public async Task<TrustedChain?> ReadKeysetsAsync(KeysetPin pin, Es256Verify verify, CancellationToken cancel)
    {
        if (await files.ReadAsync(Keysets, cancel) is not { } chain)
        {
            return null;
        }

        try
        {
            return TrustedChain.FromPin(chain, pin, verify);
        }
        catch (ProtocolException)
        {
            // It is fetched again from the server: the pin says whether what comes is right.
            return null;
        }
    }

    /// <summary>A damaged key is made anew: its certificate is asked for with the rest.</summary>
    public async Task EnsureTlsKeyAsync(CancellationToken cancel)
    {
        if (await files.ReadAsync(Tls, cancel) is not { } pem || !TlsFiles.TryReadKey(pem, out ECDsa? key))
        {
            key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            await files.ReplaceAsync(Tls, Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem() + "\n"), cancel);
        }

        key.Dispose();
    }

    /// <summary>PKCS#10, DER, that asks for exactly the agent's name.</summary>
    public async Task<byte[]> CertificateRequestAsync(string agentId, CancellationToken cancel)
    {
        using ECDsa key = await ReadTlsKeyAsync(cancel);
        return CertificateRequestOf(key, agentId);
    }

    public static byte[] CertificateRequestOf(ECDsa key, string agentId)
    {
        CertificateRequest request = new($"CN={agentId}", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddUri(new Uri($"license-agent:{agentId}"));
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSigningRequest();
    }

    /// <exception cref="NoContactException">Not base64url.</exception>
    public static byte[] PemOf(IReadOnlyList<string> chain)
    {
        StringBuilder pem = new();
        foreach (string der in chain)
        {
            if (!Base64UrlText.TryDecode(der, out byte[] bytes))
            {
                throw new NoContactException("malformed", "The certificate chain of the answer is not base64url.");
            }

            pem.Append(PemEncoding.Write("CERTIFICATE", bytes)).Append('\n');
        }

        return Encoding.ASCII.GetBytes(pem.ToString());
    }

    /// <summary>Key and chain in one durable replace, so that no crash leaves a key without its certificate.</summary>
    public async Task SaveCertificateAsync(IReadOnlyList<string> chain, CancellationToken cancel)
    {
        using ECDsa key = await ReadTlsKeyAsync(cancel);
        byte[] pem = [.. Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem() + "\n"), .. PemOf(chain)];
        await files.ReplaceAsync(Tls, pem, cancel);
    }

    private async Task<ECDsa> ReadTlsKeyAsync(CancellationToken cancel)
    {
        return await files.ReadAsync(Tls, cancel) is { } pem && TlsFiles.TryReadKey(pem, out ECDsa? key)
            ? key
            : throw TlsFiles.Damaged();
    }
}

/// <summary>
/// The till cannot read who it is, or what it shows the server. The file stays as it is until an enrolment takes its
/// place.
/// </summary>
internal sealed class IdentityDamagedException(LockReason damaged, string message, Exception? inner = null)
    : EnvironmentException(
        ModeText.Of(damaged), message, retryable: damaged is LockReason.CertificateDamaged, inner)
{
    public LockReason Damaged { get; } = damaged;
}
