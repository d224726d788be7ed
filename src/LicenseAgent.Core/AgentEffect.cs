using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>
/// What a step wants done, in order: durable writes, erasures, completions, and last at most one that begins an
/// <see cref="Activity"/>. The durable ones are awaited; the first that fails drops the rest of its step and comes back
/// as <see cref="AgentEvent.EffectFailed"/> before any other event.
/// </summary>
public abstract record AgentEffect
{
    private AgentEffect()
    {
    }

    /// <summary>Whether it begins an activity.</summary>
    internal bool BeginsActivity =>
        this is LoadState or LoadSecrets or Send or StageSecret or LoadPrevious or CommitGeneration or ProbeTpm
            or WriteAnchors or FetchKeysets or Enroll or OpenSoftware;

    /// <summary>Whether it is awaited and may fail.</summary>
    internal bool IsDurable => this is SaveRun or SaveSoftware or SaveRevocations or KeepReceipt or SaveCertificate
        or EraseSecret or EraseSoftware or Audit;

    /// <summary>A record that is written again where it was not written.</summary>
    internal bool IsDurableRecord => this is Audit { Durable: true };

    // Durable, awaited.
    public sealed record SaveRun(RunState Run) : AgentEffect;

    public sealed record SaveSoftware(SoftwareBook Book) : AgentEffect;

    public sealed record SaveRevocations(ReadOnlyMemory<byte> Answer) : AgentEffect;

    public sealed record KeepReceipt(ReadOnlyMemory<byte> Answer) : AgentEffect;

    /// <summary>Takes the next TLS key and its certificate into use; the ones before are kept beside.</summary>
    /// <param name="Chain">DER, base64url, leaf first.</param>
    public sealed record SaveCertificate(ImmutableArray<string> Chain) : AgentEffect;

    /// <summary>Forgets a secret: memory, then file.</summary>
    public sealed record EraseSecret(long Version) : AgentEffect;

    /// <summary>Forgets versions of the software keys: memory, then files.</summary>
    /// <param name="Whole">And that there ever were any.</param>
    public sealed record EraseSoftware(ImmutableArray<long> Versions, bool Whole) : AgentEffect;

    /// <summary>One record of the audit log.</summary>
    /// <param name="Op">Request id or generation; an equal one after a crash is the same transition.</param>
    /// <param name="Durable">fsynced before the next effect.</param>
    public sealed record Audit(
        string Event, string Op, string Outcome, ImmutableArray<(string Name, object Value)> Details, bool Durable)
        : AgentEffect;

    // Immediate, cannot fail.
    public sealed record CompleteRotate(long Ticket, long? Version, string? FailedBecause) : AgentEffect;

    public sealed record CompleteInvalidate(long Ticket, long Version, string? RefusedBecause) : AgentEffect;

    public sealed record CompleteDegraded(long Ticket, bool Allowed, string? RefusedBecause) : AgentEffect;

    public sealed record CompleteEnroll(long Ticket, string? RefusedBecause, string? Detail) : AgentEffect;

    /// <param name="Token">The license wrapped anew; null where there is none.</param>
    /// <param name="RefusedBecause">Without token: <c>refused</c> is the server's no, anything else no contact.</param>
    public sealed record CompleteRenewal(long Ticket, string? Token, string? RefusedBecause, string? Detail)
        : AgentEffect;

    public sealed record CountRotation(bool Succeeded) : AgentEffect;

    // Each begins an activity and ends with one event.
    public sealed record LoadState : AgentEffect;

    public sealed record LoadSecrets(ImmutableArray<SecretEntry> Entries) : AgentEffect;

    public sealed record Send(RequestPlan Plan) : AgentEffect;

    public sealed record StageSecret(RotateSecretAnswer Answer, ReadOnlyMemory<byte> Raw) : AgentEffect
    {
        /// <summary>By the software keys.</summary>
        public bool Software { get; init; }
    }

    /// <param name="Anew">Makes new keys in place of those on disk.</param>
    public sealed record OpenSoftware(bool Anew) : AgentEffect;

    public sealed record LoadPrevious(ImmutableArray<PreviousVersion> Versions) : AgentEffect;

    public sealed record CommitGeneration(BoundState Next) : AgentEffect;

    public sealed record ProbeTpm : AgentEffect;

    /// <param name="Mirror">High-water mark for the TPM; never ahead of the one on a disk that can be written.</param>
    public sealed record WriteAnchors(bool Checkpoint, UtcTime? Mirror = null) : AgentEffect;

    /// <param name="After">Version of the trusted keyset.</param>
    public sealed record FetchKeysets(long After) : AgentEffect;

    public sealed record Enroll(long? Ticket) : AgentEffect;
}
