using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Local;

/// <summary>Paths of the local API on <c>pos.sock</c>.</summary>
public static class LocalPaths
{
    public const string ValidateLicense = "/v1/validate-license";
    public const string RenewLicense = "/v1/renew-license";
    public const string Health = "/v1/health";
    public const string OpenApi = "/v1/openapi.json";
}

/// <summary>Limits of the local API.</summary>
public static class LocalApiLimits
{
    /// <summary>Largest request body, bytes.</summary>
    public const int RequestBytes = 16 * 1024;

    /// <summary>Largest request head, bytes.</summary>
    public const int HeadBytes = 8 * 1024;

    /// <summary>A nonce is accepted once per UID within this time of CLOCK_BOOTTIME.</summary>
    public static readonly TimeSpan NonceWindow = TimeSpan.FromSeconds(900);
}

/// <summary>RFC 9457 problem; the body of every refusal that the agent itself writes.</summary>
/// <param name="Code">One of <see cref="ProblemCodes"/>.</param>
/// <param name="Detail">The fact and the remedy, for people.</param>
/// <param name="Member">With <c>bad_request</c>: JSON pointer to the offending member.</param>
public sealed record Problem(
    string Type, string Title, int Status, string Code, string Detail,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Member = null);

/// <summary>The <c>code</c> of a <see cref="Problem"/>.</summary>
public static class ProblemCodes
{
    public const string BadRequest = "bad_request";
    public const string PeerNotAllowed = "peer_not_allowed";
    public const string NotFound = "not_found";
    public const string MethodNotAllowed = "method_not_allowed";
    public const string UnsupportedMediaType = "unsupported_media_type";
    public const string NonceReplayed = "nonce_replayed";
    public const string TooLarge = "too_large";
    public const string RateLimited = "rate_limited";
    public const string TooManyConnections = "too_many_connections";
    public const string NotReady = "not_ready";
    public const string NoContact = "no_contact";
    public const string Conflict = "conflict";
    public const string Refused = "refused";

    /// <summary>401: the agent wants an operator's certificate (management.require_certificate).</summary>
    public const string CertificateRequired = "certificate_required";

    /// <summary>401: the session sent is not one of this user, has ended, or never was.</summary>
    public const string SessionEnded = "session_ended";

    /// <summary>403: certificate or signature do not begin a session.</summary>
    public const string SignInRefused = "sign_in_refused";
}

/// <summary><c>GET /v1/health</c>: whether a validation can succeed now.</summary>
/// <param name="Status">READY, DEGRADED or NOT_READY.</param>
/// <param name="CanValidateUntil">The effective end of ACTIVE; <see langword="null"/> when none can succeed.</param>
public sealed record HealthResponse(string Status, string Mode, UtcTime? CanValidateUntil);
