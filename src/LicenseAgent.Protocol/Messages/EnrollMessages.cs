using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Protocol.Messages;

/// <summary>A pair of public keys of an agent.</summary>
public sealed record AgentKeyPair(EcPublicJwk Signing, RsaPublicJwk Decryption);

/// <summary>The public keys an agent enrols with.</summary>
/// <param name="Fallback">Software keys for a lost TPM; only where fallback is configured.</param>
public sealed record AgentKeys(
    EcPublicJwk Signing, RsaPublicJwk Decryption,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    AgentKeyPair? Fallback = null);

/// <summary>Enrolment, signed by the new signing key.</summary>
/// <param name="EnrollmentToken">32 bytes from the bundle.</param>
/// <param name="Csr">PKCS#10, DER, base64url; asks for exactly <c>URI:license-agent:&lt;agent_id&gt;</c>.</param>
/// <param name="SrkName">Name of the storage root key, hex; empty without TPM.</param>
public sealed record EnrollRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action,
    Digest32 EnrollmentToken, AgentKeys Keys, string Csr, string SrkName)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() => this with { Nonce = default, Timestamp = default };
}

/// <summary>What the server wants of an agent's schedule; the agent's configuration can only tighten grace.</summary>
public sealed record AgentPolicy(int RotationIntervalS, int GracePeriodS, int CheckInIntervalS);

/// <summary>Answer to enrolment.</summary>
/// <param name="CertificateChain">DER, base64url, leaf first, no root.</param>
/// <param name="HighestVersion">The agent accepts nothing at or below it.</param>
public sealed record EnrollAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    IReadOnlyList<string> CertificateChain, AgentPolicy Policy, long HighestVersion)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);
