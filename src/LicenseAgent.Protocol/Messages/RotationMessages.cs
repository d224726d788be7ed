using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Messages;

/// <summary>Why an agent asks for a new secret.</summary>
public static class RotationReasons
{
    public const string Scheduled = "scheduled";
    public const string Forced = "forced";
    public const string Directive = "directive";
    public const string TpmLost = "tpm_lost";
    public const string Recovery = "recovery";

    /// <summary>All of them; anything else is refused.</summary>
    public static readonly IReadOnlyList<string> All = [Scheduled, Forced, Directive, TpmLost, Recovery];
}

/// <summary>What protects a secret at rest.</summary>
public static class Protections
{
    public const string Tpm = "tpm";
    public const string Software = "software";
}

/// <summary>Why an agent gives a PENDING version back.</summary>
public static class RejectReasons
{
    public const string UnwrapFailed = "unwrap_failed";
    public const string KcvMismatch = "kcv_mismatch";
    public const string ReopenFailed = "reopen_failed";
    public const string Invalidated = "invalidated";

    /// <summary>All of them; anything else is refused.</summary>
    public static readonly IReadOnlyList<string> All = [UnwrapFailed, KcvMismatch, ReopenFailed, Invalidated];
}

/// <summary>Prepare: asks for the next secret.</summary>
/// <param name="CurrentSecretVersion">The agent's ACTIVE version; 0 = none.</param>
/// <param name="KcvCurrent">Its key check value, 16 hex characters; empty = none.</param>
/// <param name="HighestVersionSeen">The highest version the agent ever held or was told of.</param>
/// <param name="Reason">One of <see cref="RotationReasons"/>.</param>
/// <param name="Protection">One of <see cref="Protections"/>.</param>
public sealed record RotateSecretRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action,
    long CurrentSecretVersion, string KcvCurrent, long HighestVersionSeen, string Reason, string Protection,
    AuditEvidence Audit, ClockEvidence Clock)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() => this with
    {
        Nonce = default,
        Timestamp = default,
        HighestVersionSeen = 0,
        Audit = OperationBlank.Audit,
        Clock = OperationBlank.Clock,
    };
}

/// <summary>Answer to prepare: the wrapped secret and provisional times.</summary>
/// <param name="SecretVersion">The new version.</param>
/// <param name="Kcv">Its key check value.</param>
/// <param name="NewSecretEncrypted">Compact JWE to the agent's decryption key.</param>
/// <param name="ConfirmBy">When an agent that has not sent its confirm gives the version up.</param>
public sealed record RotateSecretAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    long SecretVersion, Kcv Kcv, string NewSecretEncrypted,
    UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil, UtcTime ConfirmBy)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);

/// <summary>Confirm: proves possession of the prepared secret.</summary>
/// <param name="Proof">HMAC-SHA256 by the proof-of-possession key over <c>confirm|agent|version|nonce</c>.</param>
public sealed record ConfirmRotationRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action,
    long SecretVersion, Kcv Kcv, Digest32 Proof)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() =>
        this with { Nonce = default, Timestamp = default, Proof = default };
}

/// <summary>An earlier version and how long it still opens tokens.</summary>
public sealed record PreviousVersion(long Version, UtcTime GraceUntil);

/// <summary>Answer to confirm: the times that count.</summary>
/// <param name="Previous">Versions in GRACE on the server, with their ends.</param>
/// <param name="MinValidVersion">Everything below is INVALIDATED.</param>
public sealed record ConfirmRotationAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime,
    long SecretVersion, UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil,
    IReadOnlyList<PreviousVersion> Previous, long MinValidVersion)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);

/// <summary>Reject: the agent cannot or may not use the prepared version.</summary>
/// <param name="Reason">One of <see cref="RejectReasons"/>.</param>
public sealed record RejectRotationRequest(
    string AgentId, string RequestId, Nonce16 Nonce, UtcTime Timestamp, string Action,
    long SecretVersion, string Reason)
    : AgentRequest(AgentId, RequestId, Nonce, Timestamp, Action)
{
    /// <inheritdoc/>
    public override AgentRequest ToOperation() => this with { Nonce = default, Timestamp = default };
}

/// <summary>Answer to reject.</summary>
public sealed record RejectRotationAnswer(
    string AgentId, string RequestId, Nonce16 Nonce, string Action, UtcTime ServerTime, long SecretVersion)
    : ServerAnswer(AgentId, RequestId, Nonce, Action, ServerTime);

/// <summary>Stand-ins for the members that are not part of an operation.</summary>
internal static class OperationBlank
{
    public static readonly AuditEvidence Audit = new(0, default, null);
    public static readonly ClockEvidence Clock = new(default, null, null, null, null, "", 0);
}
