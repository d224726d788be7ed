using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;

namespace LicenseAgent.Protocol.Management;

/// <summary>Paths of the management API on <c>admin.sock</c>.</summary>
public static class ManagementPaths
{
    public const string Status = "/v1/status";
    public const string Secrets = "/v1/secrets";
    public const string Tpm = "/v1/tpm";
    public const string Clock = "/v1/clock";
    public const string Metrics = "/v1/metrics";
    public const string Audit = "/v1/audit";
    public const string AuditVerify = "/v1/audit/verify";
    public const string Enroll = "/v1/enroll";
    public const string Rotate = "/v1/rotate";
    public const string InvalidatePrefix = "/v1/secrets/";
    public const string InvalidateSuffix = "/invalidate";
    public const string Degraded = "/v1/degraded";
    public const string Reload = "/v1/reload";
    public const string Challenge = "/v1/auth/challenge";
    public const string Session = "/v1/auth/session";
}

/// <summary><c>POST /v1/enroll</c>.</summary>
/// <param name="OwnerAuth">The TPM's owner password, where one is set.</param>
/// <param name="Replace">Make new keys for a till whose TPM was cleared or replaced.</param>
/// <param name="Force">With <paramref name="Replace"/>: even though the TPM of this enrolment works.</param>
public sealed record EnrollCall(
    EnrollmentBundle Bundle,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? OwnerAuth = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Replace = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Force = null);

/// <summary>Outcome of <c>POST /v1/enroll</c>.</summary>
/// <param name="SigningKey">Thumbprint, to compare with the server's <c>agents show</c>.</param>
public sealed record EnrollOutcome(string AgentId, string SigningKey, long HighestVersion);

/// <summary>Outcome of <c>POST /v1/rotate</c>, given when the rotation is over.</summary>
/// <param name="Outcome"><c>rotated</c> or <c>failed</c>.</param>
/// <param name="Reason">Why it failed.</param>
public sealed record RotateOutcome(string Outcome, long? Version, string? Reason);

/// <summary><c>POST /v1/secrets/{version}/invalidate</c>.</summary>
/// <param name="Force">Needed for the last usable version.</param>
public sealed record InvalidateCall(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Force = null);

/// <summary>Outcome of an invalidation.</summary>
public sealed record InvalidateOutcome(long Version, string State);

/// <summary><c>POST /v1/degraded</c>.</summary>
/// <param name="Allowed">Whether licenses stay valid during grace.</param>
public sealed record DegradedCall(bool Allowed);

/// <summary>Outcome of <c>POST /v1/degraded</c>: what holds from now on, over restarts.</summary>
public sealed record DegradedOutcome(bool Allowed);

/// <summary>Outcome of <c>POST /v1/reload</c>.</summary>
/// <param name="Outcome"><c>reloaded</c> or <c>refused</c>.</param>
/// <param name="Changed">Keys that differ from before, as <c>section.key</c>.</param>
/// <param name="Errors">Every reason of a refusal, one a line; the configuration of before stays in force.</param>
public sealed record ReloadOutcome(string Outcome, IReadOnlyList<string> Changed, IReadOnlyList<string> Errors);

/// <summary><c>GET /v1/audit?after=SEQ&amp;limit=N</c>: whole lines of the log, as they stand on disk.</summary>
/// <param name="Records">Each a JSON object of the audit format.</param>
/// <param name="Next">Give it as <c>after</c> to go on; <see langword="null"/> at the end.</param>
public sealed record AuditPage(IReadOnlyList<System.Text.Json.JsonElement> Records, long? Next);

/// <summary>One thing wrong with an audit log.</summary>
/// <param name="File">Name of the segment.</param>
/// <param name="Line">From 1; 0 where it is about the whole file.</param>
/// <param name="Code">Stable name of the finding.</param>
public sealed record AuditFinding(string File, long Line, string Code, string Detail);

/// <summary><c>GET /v1/audit/verify</c> and the offline verification.</summary>
/// <param name="Ok">No finding.</param>
/// <param name="Torn">Bytes of a torn last line, which is no tampering.</param>
public sealed record AuditVerifyResponse(
    bool Ok, long FirstSeq, long LastSeq, Digest32 Head, long Checkpoints, long Torn,
    IReadOnlyList<AuditFinding> Findings);
