using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>A secret's file: the whole answer that brought it.</summary>
internal sealed record SecretFile(RotateSecretAnswer Answer, Digest32 Sha256);

/// <summary>
/// What survives a kill: the files of the state directory and the TPM's counter and slot. Immutable values in
/// settable places, so that an old copy can be put back.
/// </summary>
internal sealed class ModelDisk
{
    public RunState? Run { get; set; }

    public BoundState? Bound { get; set; }

    public ImmutableSortedDictionary<long, SecretFile> Files { get; set; } =
        ImmutableSortedDictionary<long, SecretFile>.Empty;

    public long RevocationsFile { get; set; }

    /// <summary>Keys and request id of an enrolment are durable.</summary>
    public bool Enrolling { get; set; }

    /// <summary>The answer to it is durable, with the highest version it named.</summary>
    public long? EnrolledHighest { get; set; }

    public UtcTime EnrolledAt { get; set; }

    /// <summary>In the TPM: the counter, and the highest version of the slot that goes with it.</summary>
    public long Counter { get; set; } = 5;

    public long SlotHighest { get; set; }

    /// <summary>The files of the bound state are gone, or not this TPM's.</summary>
    public bool IsStateLost { get; set; }

    public void Commit(BoundState next) =>
        (Bound, Counter, SlotHighest, IsStateLost) = (next, next.Generation, next.HighestVersionSeen, false);

    public AgentEvent Load(long bootMs)
    {
        if (EnrolledHighest is not { } highest)
        {
            return Enrolling ? new AgentEvent.FoundEnrolling(Given.AgentId) : new AgentEvent.FoundNotEnrolled();
        }

        if (IsStateLost)
        {
            return new AgentEvent.StateUnusable(
                Given.Identity, Given.Keyset, LockReason.StateRollback, Counter, SlotHighest, Run ?? RunState.Empty);
        }

        return Bound is { } bound
            ? new AgentEvent.StateLoaded(Given.Identity, bound, Run ?? RunState.Empty)
            : new AgentEvent.Enrolled(Given.Identity, Given.Keyset, highest, Counter, EnrolledAt, bootMs);
    }

    public bool Opens(SecretEntry entry) =>
        Files.TryGetValue(entry.Version, out SecretFile? file) && file.Sha256 == entry.FileSha256;

    /// <summary>Everything that a start from this disk would open tokens under at a time.</summary>
    public IEnumerable<long> Openable(UtcTime now)
    {
        IEnumerable<SecretEntry> entries = IsStateLost ? [] : Bound?.Secrets ?? [];
        if (Run?.Pending is { } pending && (!IsStateLost || pending.Recovery))
        {
            entries = entries.Append(pending.Entry);
        }

        return entries
            .Where(s => s.State != SecretState.Invalidated && now < s.GraceUntil && Opens(s))
            .Where(s => Run?.Levels.Forbids(s.Version) != true)
            .Select(s => s.Version);
    }
}
