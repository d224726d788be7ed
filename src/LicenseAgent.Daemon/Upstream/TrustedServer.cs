using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>
/// The license server's word: opens signed answers by the response keys of the trusted keyset. An answer is believed by
/// its payload; whatever does not verify is no contact. The chain is replaced by a longer one; on the loop's thread.
/// </summary>
internal sealed class TrustedServer(TrustedChain chain, string agentId, Es256Verify verify)
{
    public TrustedChain Chain { get; private set; } = chain;

    public Keyset Keyset => Chain.Current;

    /// <summary>Takes over a chain that begins with the one so far.</summary>
    public void Adopt(TrustedChain longer)
    {
        LicenseAgent.Core.InvariantBroken.Unless(
            longer.Current.Version >= Keyset.Version, "A keyset's version went down.");
        Chain = longer;
    }

    /// <summary>The verified payload of an answer to this agent.</summary>
    /// <exception cref="NoContactException">Not a signed answer of this server to this agent.</exception>
    public ReadOnlyMemory<byte> Open(ReadOnlySpan<byte> raw) => Open(raw, Keyset.Find);

    private ReadOnlyMemory<byte> Open(ReadOnlySpan<byte> raw, Func<string, string, EcPublicJwk?> find)
    {
        if (!CompactJws.TryParse(raw, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes, out ParsedJws? jws))
        {
            throw new NoContactException("unsigned", "The answer is not a signed answer of the license server.");
        }

        EcPublicJwk key = find(jws.Kid, KeyScopes.Response) ?? throw new NoContactException(
            "unknown_key", "The answer is signed by a key that is not in the trusted keyset.");
        return jws.IsSignedBy(key, verify)
            ? jws.Payload.ToArray()
            : throw new NoContactException("bad_signature", "The answer's signature is wrong.");
    }

    /// <summary>A verified answer of the kind <paramref name="request"/> asks for, or a refusal.</summary>
    public ServerAnswer Read(ReadOnlySpan<byte> raw, AgentRequest request)
    {
        ReadOnlyMemory<byte> payload = Open(raw);
        ServerAnswer answer = Decode(payload.Span, request.Action);
        bool ours = answer.AgentId == agentId && answer.RequestId == request.RequestId
            && answer.Nonce == request.Nonce && answer.Action == request.Action;
        return ours
            ? answer
            : throw new NoContactException("wrong_nonce", "The answer belongs to another request.");
    }

    /// <summary>The answer of a stored PREPARE, whatever its nonce was.</summary>
    /// <param name="isBound">The bound state names these bytes: a key that has left the keyset since will do.</param>
    public RotateSecretAnswer ReadStored(ReadOnlySpan<byte> raw, bool isBound)
    {
        ServerAnswer answer = Decode(OpenStored(raw, isBound).Span, AgentActions.RotateSecret);
        return answer is RotateSecretAnswer stored && stored.AgentId == agentId
            ? stored
            : throw new NoContactException("wrong_agent", "The stored answer is not one to this agent.");
    }

    /// <summary>The stored check-in answer that brought the revocations.</summary>
    /// <param name="isBound">As with <see cref="ReadStored"/>.</param>
    public CheckInAnswer ReadStoredCheckIn(ReadOnlySpan<byte> raw, bool isBound)
    {
        ServerAnswer answer = Decode(OpenStored(raw, isBound).Span, AgentActions.CheckIn);
        return answer is CheckInAnswer stored && stored.AgentId == agentId
            ? stored
            : throw new NoContactException("wrong_agent", "The stored answer is not one to this agent.");
    }

    private ReadOnlyMemory<byte> OpenStored(ReadOnlySpan<byte> raw, bool isBound) =>
        isBound ? Open(raw, Chain.FindEver) : Open(raw);

    private static ServerAnswer Decode(ReadOnlySpan<byte> payload, string action)
    {
        AnswerJsonContext json = AnswerJsonContext.Wire;
        try
        {
            if (IsRefusal(payload))
            {
                return StrictJson.Read(payload, json.RefusalAnswer);
            }

            ServerAnswer answer = action switch
            {
                AgentActions.RotateSecret => StrictJson.Read(payload, json.RotateSecretAnswer),
                AgentActions.ConfirmRotation => StrictJson.Read(payload, json.ConfirmRotationAnswer),
                AgentActions.RejectRotation => StrictJson.Read(payload, json.RejectRotationAnswer),
                AgentActions.CheckIn => StrictJson.Read(payload, json.CheckInAnswer),
                AgentActions.RenewLicense => StrictJson.Read(payload, json.LicenseRenewalAnswer),
                AgentActions.RenewCertificate => StrictJson.Read(payload, json.RenewCertificateAnswer),
                AgentActions.Enroll => StrictJson.Read(payload, json.EnrollAnswer),
                _ => throw new LicenseAgent.Core.InvariantBroken($"No answer belongs to {action}."),
            };
            return answer is CheckInAnswer checkIn ? WithinLimits(checkIn) : answer;
        }
        catch (ProtocolException e)
        {
            throw new NoContactException("malformed", $"The signed answer is malformed: {e.Message}.", e);
        }
    }

    private static CheckInAnswer WithinLimits(CheckInAnswer answer) =>
        answer.Directives.Count <= AgentApiLimits.Directives
        && (answer.Revocations?.LicenseIds.Count ?? 0) <= AgentApiLimits.RevokedLicenses
            ? answer
            : throw new NoContactException("too_large", "The answer has more directives or revocations than allowed.");

    private static bool IsRefusal(ReadOnlySpan<byte> payload)
    {
        System.Text.Json.Utf8JsonReader reader = new(payload);
        try
        {
            while (reader.Read())
            {
                if (reader.CurrentDepth == 1 && reader.TokenType == System.Text.Json.JsonTokenType.PropertyName
                    && reader.ValueTextEquals("error"u8))
                {
                    return true;
                }
            }
        }
        catch (System.Text.Json.JsonException e)
        {
            throw new ProtocolException("json_syntax", null, e);
        }

        return false;
    }
}
