using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>
/// What every signed answer of the server carries; an answer is believed by its payload, never its status.
/// </summary>
/// <param name="RequestId">Echo.</param>
/// <param name="Nonce">Echo; an answer to any but the outstanding nonce is dropped.</param>
/// <param name="Action">Echo.</param>
public abstract record ServerAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime);

/// <summary>An authenticated refusal.</summary>
/// <param name="Error">One of <see cref="ServerErrors"/>; one that is unknown here is treated as no contact.</param>
/// <param name="Detail">For people, at most 512 bytes.</param>
/// <param name="RetryAfterS">With RATE_LIMITED.</param>
/// <param name="ActiveVersion">With VERSION_CONFLICT.</param>
/// <param name="HighestVersion">With VERSION_CONFLICT.</param>
public sealed record RefusalAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    string Error, string Detail,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    int? RetryAfterS = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    long? ActiveVersion = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    long? HighestVersion = null)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);

/// <summary>The error codes of signed refusals and the HTTP status each travels with.</summary>
public static class ServerErrors
{
    public const string ClockSkew = "CLOCK_SKEW";
    public const string Replay = "REPLAY";
    public const string RequestMismatch = "REQUEST_MISMATCH";
    public const string RateLimited = "RATE_LIMITED";
    public const string VersionConflict = "VERSION_CONFLICT";
    public const string RejectedProof = "REJECTED_PROOF";
    public const string DowngradeRefused = "DOWNGRADE_REFUSED";
    public const string CertificateExpired = "CERTIFICATE_EXPIRED";
    public const string AgentUnknown = "AGENT_UNKNOWN";
    public const string CloneSuspect = "CLONE_SUSPECT";
    public const string AgentSuspended = "AGENT_SUSPENDED";
    public const string EnrollmentRefused = "ENROLLMENT_REFUSED";

    /// <summary>Answers <c>renew-license</c> alone: this license is not wrapped anew; the detail says why.</summary>
    public const string LicenseRefused = "LICENSE_REFUSED";

    /// <summary>The HTTP status of a refusal. Agents do not rely on it.</summary>
    public static int StatusOf(string error) => error switch
    {
        RequestMismatch or LicenseRefused => 422,
        RateLimited => 429,
        AgentUnknown => 404,
        ClockSkew or Replay or VersionConflict or CloneSuspect => 409,
        RejectedProof or DowngradeRefused or CertificateExpired or AgentSuspended or EnrollmentRefused => 403,
        _ => throw new ArgumentOutOfRangeException(nameof(error), error, "Not an error of the protocol."),
    };
}

/// <summary>One version in the server's own view.</summary>
/// <param name="State">PENDING, ACTIVE, GRACE, INVALIDATED or BURNED.</param>
public sealed record VersionStatus(
    long Version, string State, UtcTime? ValidFrom, UtcTime? ValidUntil, UtcTime? GraceUntil);

/// <summary>Answer to <c>GET /api/v1/secret-status</c>; the request carries a nonce in the query and no body.</summary>
public sealed record SecretStatusAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    IReadOnlyList<VersionStatus> Versions)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);
