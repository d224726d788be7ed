using System.Security.Cryptography;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>Signs requests with the key in the TPM.</summary>
internal sealed class RequestSigner(ITpmKeys tpm)
{
    public async Task<byte[]> SignAsync(AgentRequest request, CancellationToken cancel)
    {
        byte[] input = CompactJws.SigningInput(new JwsHeader(request.AgentId, JoseTypes.AgentRequest), Write(request));
        byte[] signature = await tpm.SignAsync(SHA256.HashData(input), cancel);
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
            EnrollRequest r => Write(r, json.EnrollRequest),
            _ => throw new LicenseAgent.Core.InvariantBroken($"{request.GetType().Name} is never sent."),
        };
    }

    private static byte[] Write<T>(T request, JsonTypeInfo<T> type) => StrictJson.Write(request, type);
}
