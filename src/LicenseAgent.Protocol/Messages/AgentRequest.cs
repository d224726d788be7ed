using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>
/// What every signed request of an agent carries. The derived records add the members of their action.
/// </summary>
/// <param name="AgentId">The sender; equals the <c>kid</c> of the signature and the name in the client
/// certificate.</param>
/// <param name="RequestId">UUIDv7. A retry repeats it, so that the server can repeat the stored outcome.</param>
/// <param name="Nonce">16 fresh bytes per attempt; the answer echoes them.</param>
/// <param name="Timestamp">The agent's trusted now.</param>
/// <param name="Action">One of <see cref="AgentActions"/>; must belong to the endpoint.</param>
public abstract record AgentRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action)
{
    /// <summary>
    /// The request's operation: what a retry must repeat. Members that differ per attempt are cleared.
    /// </summary>
    /// <returns>A copy to serialise and hash; never sent.</returns>
    public abstract AgentRequest ToOperation();
}

/// <summary>The actions of the agent API and the paths they belong to.</summary>
public static class AgentActions
{
    public const string Enroll = "enroll";
    public const string RotateSecret = "rotate-secret";
    public const string ConfirmRotation = "confirm-rotation";
    public const string RejectRotation = "reject-rotation";
    public const string CheckIn = "check-in";
    public const string SecretStatus = "secret-status";
    public const string ValidateLicense = "validate-license";
    public const string RenewLicense = "renew-license";
    public const string RenewCertificate = "renew-certificate";
}

/// <summary>Paths of the agent API.</summary>
public static class AgentPaths
{
    public const string Enroll = "/api/v1/enroll";
    public const string RotateSecret = "/api/v1/rotate-secret";
    public const string ConfirmRotation = "/api/v1/rotate-secret/confirm";
    public const string RejectRotation = "/api/v1/rotate-secret/reject";
    public const string CheckIn = "/api/v1/check-in";
    public const string SecretStatus = "/api/v1/secret-status";
    public const string RenewCertificate = "/api/v1/certificates/renew";
    public const string Keyset = "/api/v1/keyset";
    public const string ValidateLicense = "/api/v1/validate-license";
    public const string RenewLicense = "/api/v1/renew-license";
}

/// <summary>Limits of the agent API that both sides enforce.</summary>
public static class AgentApiLimits
{
    /// <summary>Largest request body, bytes.</summary>
    public const int RequestBytes = 64 * 1024;

    /// <summary>Largest answer body, bytes; a larger one is no contact.</summary>
    public const int AnswerBytes = 1024 * 1024;

    public const int Directives = 64;
    public const int RevokedLicenses = 20_000;
    public const int KeysetKeys = 64;
    public const int Keysets = 1_000;

    /// <summary>How far an agent's timestamp may be from the server's time.</summary>
    public static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(300);

    /// <summary>How long the server remembers a nonce: the skew both ways and a minute.</summary>
    public static readonly TimeSpan NonceWindow = TimeSpan.FromSeconds(660);

    /// <summary>How long the server repeats a stored outcome.</summary>
    public static readonly TimeSpan OutcomeKept = TimeSpan.FromDays(7);

    /// <summary>A version further above the highest one the agent knows is refused.</summary>
    public const long VersionJump = 1_000;
}
