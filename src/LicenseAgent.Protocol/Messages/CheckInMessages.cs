using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>State of the TPM as a check-in reports it.</summary>
public static class TpmReports
{
    public const string Ok = "ok";
    public const string Unavailable = "unavailable";
    public const string Lockout = "lockout";
    public const string Replaced = "replaced";
    public const string Off = "off";

    /// <summary>All of them; anything else is refused.</summary>
    public static readonly IReadOnlyList<string> All = [Ok, Unavailable, Lockout, Replaced, Off];
}

/// <summary>The regular signed report of an agent.</summary>
/// <param name="Mode">NORMAL, OFFLINE, DEGRADED, EXHAUSTED or LOCKED.</param>
/// <param name="LockReason">Why LOCKED; otherwise <see langword="null"/>.</param>
/// <param name="ActiveVersion">0 = none.</param>
/// <param name="HeldVersions">Every version the agent can open tokens with; the server mints under no other.</param>
/// <param name="ConfirmPending">A confirm was sent and not answered.</param>
/// <param name="RevocationsVersion">Version of the revocation list the agent holds; 0 = none.</param>
/// <param name="KeysetVersion">Version of the keyset the agent trusts.</param>
/// <param name="Fallback">Software keys to register in place of those the server names in its answers; only in a
/// request signed by the TPM.</param>
public sealed record CheckInRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action,
    string Mode, string? LockReason, long ActiveVersion, IReadOnlyList<long> HeldVersions, bool ConfirmPending,
    string Protection, string Tpm, AuditEvidence Audit, ClockEvidence Clock,
    long RevocationsVersion, long KeysetVersion, string AgentVersion,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] AgentKeyPair? Fallback = null)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() => this with
    {
        Nonce = default,
        Timestamp = default,
        Audit = OperationBlank.Audit,
        Clock = OperationBlank.Clock,
    };
}

/// <summary>Licenses revoked so far, complete.</summary>
/// <param name="Version">Rises with every change.</param>
/// <param name="LicenseIds">At most 20 000.</param>
public sealed record RevocationList(long Version, IReadOnlyList<string> LicenseIds);

/// <summary>The server's countersignature over the audit head.</summary>
/// <param name="Conflict">The reported head contradicts what was witnessed before.</param>
public sealed record Witness(long Seq, Digest32 Head, bool Conflict);

/// <summary>Answer to a check-in. Directives are levels: each answer carries all that hold.</summary>
/// <param name="Revocations">Present only when newer than what the agent holds.</param>
/// <param name="NextCheckInS">Seconds until the next one; the agent caps it at 3 600.</param>
/// <param name="Fallback">Thumbprint of the registered software signing key; empty: none. Missing: a server that knows
/// no software keys.</param>
public sealed record CheckInAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    IReadOnlyList<Directive> Directives, long KeysetVersion, Witness Witness, int NextCheckInS,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    RevocationList? Revocations = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Fallback = null)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);
