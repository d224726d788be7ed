using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>
/// Asks for a client certificate over a new TLS key; the one thing besides a check-in that an expired certificate
/// opens.
/// </summary>
/// <param name="Csr">PKCS#10, DER, base64url; asks for exactly <c>URI:license-agent:&lt;agent_id&gt;</c>.</param>
public sealed record RenewCertificateRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action, string Csr)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() => this with { Nonce = default, Timestamp = default };
}

/// <summary>Answer to a renewal.</summary>
/// <param name="CertificateChain">DER, base64url, leaf first, no root.</param>
public sealed record RenewCertificateAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    IReadOnlyList<string> CertificateChain)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);
