using System.Collections.Immutable;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>The decision to ask for a new secret, durable before the first request leaves.</summary>
/// <param name="RequestId">Repeated by every retry, so that no second version is born.</param>
/// <param name="Current">ACTIVE when it was decided; a retry must ask the same.</param>
/// <param name="Kcv">Of <paramref name="Current"/>, 16 hex characters; empty = none.</param>
public sealed record RotationIntent(string RequestId, long Current, string Kcv, string Reason);

/// <summary>A staged secret and its confirm.</summary>
/// <param name="Entry">State PENDING; times are provisional until the confirm answer.</param>
/// <param name="ConfirmBy">Given up after this, unless the confirm was sent.</param>
/// <param name="ConfirmRequestId">Repeated by every retry of the confirm.</param>
/// <param name="ConfirmSent">Durable before the first confirm leaves; then only authenticated answers end it.</param>
/// <param name="Recovery">Staged to repair a lost state.</param>
public sealed record PendingSecret(
    SecretEntry Entry, UtcTime ConfirmBy, string ConfirmRequestId, bool ConfirmSent, bool Recovery);

/// <summary>A version to give back.</summary>
public sealed record RejectIntent(string RequestId, long Version, string Reason);

/// <summary>
/// The last authenticated server time and what the till's clocks showed when its request was sent. Format 1 knows the
/// boot clock only: the others are <see langword="null"/>.
/// </summary>
/// <param name="AwakeMs">CLOCK_MONOTONIC; unknown: the machine has not slept since.</param>
/// <param name="Wall">How far it led then is taken off its later readings; unknown: nothing.</param>
/// <param name="TpmClockMs">The TPM's clock; unknown: it says nothing until the next contact.</param>
public sealed record TimeAnchor(
    UtcTime ServerTime, string BootId, long BootMs, long? AwakeMs = null, UtcTime? Wall = null,
    long? TpmClockMs = null);

/// <summary>Trusted now when the run state was written.</summary>
/// <param name="AwakeMs">CLOCK_MONOTONIC; format 1 has none: the machine has not slept since.</param>
public sealed record HighWater(UtcTime Time, string BootId, long BootMs, long? AwakeMs = null);

/// <summary>
/// The restrictions that hold by the last check-in or by an operator. They act at once; those that differ from the
/// bound state become the next generation when the TPM is there.
/// </summary>
/// <param name="Invalidated">Versions an operator took out of use and that are not bound yet.</param>
public sealed record Levels(
    bool Suspended, UtcTime? GraceLimit, long MinValidVersion, FileReference? Revocations,
    ImmutableSortedSet<long> Invalidated)
{
    /// <summary>Most versions an operator can invalidate before they are bound.</summary>
    public const int MaxInvalidated = 32;

    public static readonly Levels None = new(false, null, 0, null, []);

    /// <summary>Whether a version is out of use by these levels.</summary>
    public bool Forbids(long version) => version < MinValidVersion || Invalidated.Contains(version);
}

/// <summary>
/// What is durable without the TPM. Whatever contradicts the bound state is dropped at start; putting an old one
/// back gains nothing.
/// </summary>
/// <param name="Highest">Highest version seen, raised before a secret is used or rejected.</param>
/// <param name="RotationFactor">u of the next rotation, 0.9 … 1.1 in thousandths.</param>
/// <param name="Mode">The mode last audited.</param>
/// <param name="Witnessed">The last audit record the server countersigned.</param>
/// <param name="CloneSuspectSince">First CLONE_SUSPECT of the present row of them.</param>
/// <param name="StageFailures">Definite failures of the version now offered.</param>
/// <param name="RejectedInARow">Versions given back without one committed in between.</param>
/// <param name="DegradedForbidden">An operator's order; written from format 2 on, false in format 1.</param>
/// <param name="DoubtedMs">Time run, over boots, without contact and with a clock too far ahead. Format 1: 0.</param>
public sealed record RunState(
    RotationIntent? Intent, PendingSecret? Pending, RejectIntent? Reject, long Highest,
    TimeAnchor? Anchor, HighWater? HighWater, UtcTime? LastContact, UtcTime? LastRotation, int RotationFactor,
    string Mode, Levels Levels, AuditPoint? Witnessed, UtcTime? CloneSuspectSince,
    int FailedInARow, int StageFailures, int RejectedInARow,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool DegradedForbidden = false,
    long DoubtedMs = 0)
{
    public static readonly RunState Empty = new(
        null, null, null, 0, null, null, null, null, 1000, "", Levels.None, null, null, 0, 0, 0);
}
