using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>Asks the server whether one of this agent's license tokens is good.</summary>
public sealed record LicenseValidationRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action, string LicenseToken)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() => this with { Nonce = default, Timestamp = default };
}

/// <summary>The server's word on a token.</summary>
/// <param name="Reason">As at the till: <c>VALID EXPIRED NOT_YET_VALID REVOKED WRONG_AGENT UNKNOWN_SECRET
/// SECRET_INVALIDATED INVALID_TOKEN</c>.</param>
/// <param name="ExpiresAt">From here on <see langword="null"/> where the token could not be opened.</param>
public sealed record LicenseValidationAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    bool Valid, string Reason, UtcTime? ExpiresAt, IReadOnlyList<string>? Features,
    IReadOnlyDictionary<string, string>? Metadata)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);

/// <summary>Asks the server to wrap one of this agent's licenses anew, under the agent's ACTIVE version.</summary>
public sealed record LicenseRenewalRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action, string LicenseToken)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() => this with { Nonce = default, Timestamp = default };
}

/// <summary>The same signed license under <paramref name="SecretVersion"/>.</summary>
public sealed record LicenseRenewalAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    string LicenseToken, long SecretVersion)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);
