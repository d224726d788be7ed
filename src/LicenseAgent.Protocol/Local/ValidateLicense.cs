using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Local;

/// <summary><c>POST /v1/validate-license</c>.</summary>
/// <param name="LicenseToken">Compact JWE, at most 8 192 bytes.</param>
/// <param name="Nonce">16 bytes, accepted once per UID within 900 s.</param>
public sealed record ValidateLicenseRequest(string LicenseToken, Nonce16 Nonce);

/// <summary>Answer of <c>POST /v1/validate-license</c>.</summary>
/// <param name="Reason">One of <see cref="ValidationReasons"/>.</param>
/// <param name="Nonce">Echo.</param>
/// <param name="Mode">The agent's mode at this moment.</param>
/// <param name="Protection">What protects the secret the token was opened with.</param>
/// <param name="LicenseId">From here to <c>secret_version</c>: after a verified signature only.</param>
/// <param name="UsableUntil">Only when valid: earliest of the license's end and the secret's.</param>
/// <param name="License">Only when valid: the inner JWS, to verify against vendor keys.</param>
/// <param name="RenewedToken">The same license under the ACTIVE secret; the application stores it.</param>
/// <param name="Renewable">With SECRET_INVALIDATED: the server can wrap the license anew.</param>
public sealed record ValidateLicenseResponse(
    bool Valid, string Reason, Nonce16 Nonce, string Mode, string Protection,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? LicenseId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Product = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] UtcTime? ExpiresAt = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Features = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    IReadOnlyDictionary<string, string>? Metadata = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? SecretVersion = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] UtcTime? UsableUntil = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? License = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? RenewedToken = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Renewable = null);

/// <summary>Why a license is valid or not.</summary>
public static class ValidationReasons
{
    public const string Valid = "VALID";
    public const string Expired = "EXPIRED";
    public const string NotYetValid = "NOT_YET_VALID";
    public const string Revoked = "REVOKED";
    public const string WrongAgent = "WRONG_AGENT";
    public const string UnknownSecret = "UNKNOWN_SECRET";
    public const string SecretInvalidated = "SECRET_INVALIDATED";
    public const string InvalidToken = "INVALID_TOKEN";
    public const string GraceExhausted = "GRACE_EXHAUSTED";
    public const string NoSecret = "NO_SECRET";
    public const string Locked = "LOCKED";

    /// <summary>All of them, in the order above.</summary>
    public static readonly IReadOnlyList<string> All =
    [
        Valid, Expired, NotYetValid, Revoked, WrongAgent, UnknownSecret, SecretInvalidated, InvalidToken,
        GraceExhausted, NoSecret, Locked,
    ];
}
