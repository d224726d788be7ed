using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>What happened outside; the only input of <see cref="AgentCore.Step"/> besides time and chance.</summary>
public abstract record AgentEvent
{
    private AgentEvent()
    {
    }

    /// <summary>The client certificate in use, where what happened made it known.</summary>
    public CertificateLife? Certificate { get; init; }

    /// <summary>The TPM's clock, where what happened came with a reading of it.</summary>
    public TpmReading? TpmClock { get; init; }

    /// <summary>The process has started.</summary>
    public sealed record Started : AgentEvent;

    /// <summary>A wake-up the state asked for.</summary>
    public sealed record Ticked : AgentEvent;

    /// <summary>There is no identity yet.</summary>
    public sealed record FoundNotEnrolled : AgentEvent;

    /// <summary>An enrolment was begun and not finished before the last stop.</summary>
    public sealed record FoundEnrolling(string AgentId) : AgentEvent;

    /// <summary>There was an identity, and a file of it cannot be read as one. It is left as it is.</summary>
    public sealed record FoundIdentityDamaged(LockReason Reason) : AgentEvent;

    /// <summary>Identity and state are there, hash, generation and counter agree.</summary>
    public sealed record StateLoaded(Identity Identity, BoundState Bound, RunState Run) : AgentEvent
    {
        /// <summary>The newest keyset of the verified chain on disk, where it is newer than the bound one.</summary>
        public FileReference? NewerKeyset { get; init; }

        public UtcTime? KeysetUpdateBy { get; init; }

        /// <summary>The bound state names a list of revocations and there is none that belongs to it.</summary>
        public bool RevocationsLost { get; init; }

        /// <summary>The TPM's copy of the high-water mark; <see langword="null"/> before the first.</summary>
        public UtcTime? Mirror { get; init; }
    }

    /// <summary>There is an identity, but no state that belongs to the TPM's generation.</summary>
    /// <param name="Keyset">The keyset pinned at enrolment: the bound reference is lost with the state.</param>
    /// <param name="Counter">The NV counter: the next generation is one above.</param>
    /// <param name="SlotHighest">
    /// Highest version that NV slots, identity, and state files that can be read name.
    /// </param>
    public sealed record StateUnusable(
        Identity Identity, FileReference Keyset, LockReason Reason, long Counter, long SlotHighest, RunState Run)
        : AgentEvent
    {
        /// <inheritdoc cref="StateLoaded.Mirror"/>
        public UtcTime? Mirror { get; init; }
    }

    /// <summary>
    /// The disk did not give identity, state or secrets, earlier ones included; they are asked again.
    /// </summary>
    public sealed record LoadFailed(string Detail) : AgentEvent;

    /// <summary>The audit log has grown enough since its last checkpoint.</summary>
    public sealed record CheckpointWanted : AgentEvent;

    /// <summary>The TPM did not answer while loading, or while it was asked for anything else.</summary>
    public sealed record TpmFailed(TpmHealth Health, string Detail) : AgentEvent;

    /// <summary>A probe found the TPM of this enrolment working.</summary>
    public sealed record TpmReturned : AgentEvent;

    /// <summary>The software keys are open, and their versions with them.</summary>
    /// <param name="Keyset">As for <see cref="StateUnusable"/>.</param>
    /// <param name="Key">Thumbprint of the signing key.</param>
    /// <param name="Opened">Versions of <paramref name="Book"/> that are in memory.</param>
    public sealed record SoftwareOpened(
        Identity Identity, FileReference Keyset, RunState Run, SoftwareBook Book, string Key,
        ImmutableArray<long> Opened) : AgentEvent;

    /// <summary>They cannot be: key file, key storage or disk is in the way.</summary>
    public sealed record SoftwareFailed(string Detail) : AgentEvent;

    /// <summary>Secret files were opened, or definitely cannot be.</summary>
    public sealed record SecretsLoaded(ImmutableArray<long> Opened, ImmutableArray<long> Unreadable) : AgentEvent;

    /// <summary>A verified answer to the outstanding nonce.</summary>
    /// <param name="Raw">The signed bytes as they came: what is kept of them is kept so.</param>
    /// <param name="SentBootMs">CLOCK_BOOTTIME when the request was sent.</param>
    public sealed record AnswerArrived(ServerAnswer Answer, ReadOnlyMemory<byte> Raw, long SentBootMs) : AgentEvent;

    /// <summary>No authenticated answer came; it changes nothing but the next try.</summary>
    public sealed record ContactFailed(string Reason, TimeSpan? RetryAfter) : AgentEvent;

    /// <summary>The secret is on disk, reopened from there, checked, and in memory.</summary>
    public sealed record SecretStaged(long Version, Digest32 FileSha256) : AgentEvent;

    /// <summary>Staging did not succeed.</summary>
    /// <param name="RejectReason">Set when it definitely never will.</param>
    public sealed record StagingFailed(long Version, string? RejectReason, string Detail) : AgentEvent;

    /// <summary>Files of earlier versions that verify.</summary>
    public sealed record PreviousLoaded(ImmutableArray<SecretEntry> Entries) : AgentEvent;

    /// <summary>The disk did not give their files: the version that was confirmed is confirmed once more.</summary>
    public sealed record PreviousFailed(string Reason) : AgentEvent;

    /// <summary>The generation is on disk and in the TPM.</summary>
    public sealed record GenerationCommitted(BoundState State) : AgentEvent;

    /// <summary>It is not, or not certainly: the same one is tried again.</summary>
    /// <param name="Contradiction">The TPM's counter belongs to neither this state nor the next.</param>
    /// <param name="Recorded">Its record is in the log, durable.</param>
    public sealed record GenerationFailed(string Detail, bool Contradiction, bool Recorded = false) : AgentEvent;

    /// <summary>Mirror and checkpoint are written.</summary>
    public sealed record Anchored : AgentEvent;

    /// <summary>They are not, and it was not the TPM.</summary>
    public sealed record AnchoringFailed(string Detail) : AgentEvent;

    /// <summary>
    /// A durable effect of the last step failed; the effects after it in that step were not carried out. It ends an
    /// activity only if that very step should have begun it.
    /// </summary>
    /// <param name="Done">So many effects of the step had been carried out before.</param>
    public sealed record EffectFailed(string Reason, int Done = 0) : AgentEvent;

    /// <summary>Something outside wants attention, or no longer does (<paramref name="Detail"/> is null).</summary>
    public sealed record TroubleNoticed(string Id, string? Detail) : AgentEvent;

    /// <summary>The chain was fetched, verified and is durable.</summary>
    /// <param name="Newest">Its last keyset; the trusted one where there is none after it.</param>
    public sealed record KeysetsFetched(FileReference Newest, UtcTime UpdateBy) : AgentEvent;

    /// <summary>No chain that verifies came; the trusted keyset stays.</summary>
    public sealed record KeysetsNotFetched(string Reason) : AgentEvent;

    /// <summary>An application asks for a license to be wrapped anew.</summary>
    public sealed record RenewalAsked(long Ticket, string Token) : AgentEvent;

    /// <summary>An operator asks for a rotation.</summary>
    public sealed record RotateAsked(long Ticket) : AgentEvent;

    /// <summary>An operator takes a version out of use.</summary>
    public sealed record InvalidateAsked(long Ticket, long Version, bool Force) : AgentEvent;

    /// <summary>An operator says whether licenses stay valid during grace.</summary>
    public sealed record DegradedAsked(long Ticket, bool Allowed) : AgentEvent;

    /// <summary>The configuration was read anew.</summary>
    public sealed record SettingsChanged(CoreSettings Settings) : AgentEvent;

    /// <summary>An operator enrols the till.</summary>
    /// <param name="Replace">Also a till that is enrolled: its TPM is lost, and keys are made anew.</param>
    /// <param name="Force">Even though its TPM works.</param>
    public sealed record EnrollAsked(long Ticket, bool Replace = false, bool Force = false) : AgentEvent;

    /// <summary>Enrolment is over; the identity is durable.</summary>
    /// <param name="Counter">The NV counter after provisioning.</param>
    public sealed record Enrolled(
        Identity Identity, FileReference Keyset, long Highest, long Counter, UtcTime ServerTime, long SentBootMs)
        : AgentEvent;

    /// <summary>Enrolment did not succeed.</summary>
    /// <param name="Resumable">Its keys and request id are durable: it goes on by itself.</param>
    /// <param name="Begun">New keys took the place of those of an earlier enrolment, which is over.</param>
    public sealed record EnrollmentFailed(
        string Reason, string Detail, bool Resumable, bool Begun = false) : AgentEvent;
}

/// <summary>Who this till is, as enrolment left it.</summary>
/// <param name="Policy">What the server wants of the schedule.</param>
public sealed record Identity(string AgentId, AgentPolicy Policy);

/// <summary>From when to when the certificate says it is good.</summary>
public sealed record CertificateLife(UtcTime NotBefore, UtcTime NotAfter);

/// <summary>The TPM as the agent sees it.</summary>
public enum TpmHealth
{
    Unknown,
    Ok,
    Unavailable,
    Lockout,
    Replaced,
}
