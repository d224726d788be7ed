using System.Security.Cryptography;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>Signs requests with the key in the TPM, or with the software key where the TPM is lost.</summary>
internal sealed class RequestSigner(ITpmKeys tpm, IFallbackKeys? software = null)
{
    private const string SoftwareSuffix = "#fallback";

    public Task<byte[]> SignAsync(AgentRequest request, CancellationToken cancel) =>
        SignAsync(request, request.AgentId, tpm.SignAsync, cancel);

    public Task<byte[]> SignBySoftwareAsync(AgentRequest request, CancellationToken cancel) =>
        SignAsync(request, request.AgentId + SoftwareSuffix, software!.SignAsync, cancel);

    /// <param name="sign">ES256 over a SHA-256 digest.</param>
    public static async Task<byte[]> SignAsync(
        AgentRequest request, string kid, Func<ReadOnlyMemory<byte>, CancellationToken, Task<byte[]>> sign,
        CancellationToken cancel)
    {
        byte[] input = CompactJws.SigningInput(new JwsHeader(kid, JoseTypes.AgentRequest), Write(request));
        byte[] signature = await sign(SHA256.HashData(input), cancel);
        return CompactJws.Assemble(input, signature);
    }

    private static byte[] Write(AgentRequest request)
    {
        RequestJsonContext json = RequestJsonContext.Wire;
        return request switch
        {
            RotateSecretRequest r => Write(r, json.RotateSecretRequest),
            ConfirmRotationRequest r => Write(r, json.ConfirmRotationRequest),
            RejectRotationRequest r => Write(r, json.RejectRotationRequest),
            CheckInRequest r => Write(r, json.CheckInRequest),
            LicenseRenewalRequest r => Write(r, json.LicenseRenewalRequest),
            RenewCertificateRequest r => Write(r, json.RenewCertificateRequest),
            EnrollRequest r => Write(r, json.EnrollRequest),
            _ => throw new LicenseAgent.Core.InvariantBroken($"{request.GetType().Name} is never sent."),
        };
    }

    private static byte[] Write<T>(T request, JsonTypeInfo<T> type) => StrictJson.Write(request, type);
}
