using System.Collections.Immutable;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>One secret as the state names it; never its bytes.</summary>
/// <param name="FileSha256">SHA-256 of its file, the whole signed PREPARE answer.</param>
/// <param name="Created">Trusted now when it was staged.</param>
public sealed record SecretEntry(
    long Version, SecretState State, Kcv Kcv, Digest32 FileSha256,
    UtcTime Created, UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil)
{
    /// <summary>Whether it came from this PENDING: a repair stages a version bound before, in another file.</summary>
    internal bool IsStagedAs(PendingSecret? pending) =>
        pending is not null && pending.Entry.Version == Version && pending.Entry.FileSha256 == FileSha256;
}

/// <summary>A signed file the state refers to: its version and the SHA-256 of its bytes.</summary>
public sealed record FileReference(long Version, Digest32 Sha256);

/// <summary>
/// What is tied to the TPM, one generation a change. It changes at commit, invalidation, suspension, grace limit, new
/// revocations or keyset, and at nothing else; time alone changes nothing in it.
/// </summary>
/// <param name="Format">Number of the file format, <see cref="CurrentFormat"/>.</param>
/// <param name="Generation">Value of the NV counter this state belongs to.</param>
/// <param name="Secrets">By version, rising. ACTIVE, GRACE, and one INVALIDATED by order while it is highest.</param>
/// <param name="MinValidVersion">Everything below is INVALIDATED.</param>
/// <param name="GraceLimit">Directive: grace ends at the latest here.</param>
/// <param name="ServerTime">Server's time at the change.</param>
public sealed record BoundState(
    int Format, long Generation, string AgentId, ImmutableArray<SecretEntry> Secrets, long HighestVersionSeen,
    long MinValidVersion, UtcTime? GraceLimit, bool Suspended, FileReference? Revocations, FileReference Keyset,
    UtcTime ServerTime)
{
    /// <summary>The format this program writes; it reads this one and the one before.</summary>
    public const int CurrentFormat = 1;

    /// <summary>Most GRACE entries; daily rotation with 7 days of grace holds 8.</summary>
    public const int MaxGrace = 16;

    [JsonIgnore]
    public SecretEntry? Active => Secrets.FirstOrDefault(s => s.State == SecretState.Active);

    [JsonIgnore]
    public IEnumerable<SecretEntry> Grace => Secrets.Where(s => s.State == SecretState.Grace);

    /// <summary>I03: at most one ACTIVE; versions distinct and rising, none above the highest.</summary>
    public void CheckInvariants()
    {
        InvariantBroken.Unless(Secrets.Count(s => s.State == SecretState.Active) <= 1, "I03: two ACTIVE secrets.");
        InvariantBroken.Unless(Grace.Count() <= MaxGrace, "More GRACE secrets than the limit.");
        for (int i = 0; i < Secrets.Length; i++)
        {
            InvariantBroken.Unless(Secrets[i].State != SecretState.Pending, "PENDING is never bound.");
            InvariantBroken.Unless(Secrets[i].Version <= HighestVersionSeen, "I06: a version above the highest.");
            InvariantBroken.Unless(
                i == 0 || Secrets[i - 1].Version < Secrets[i].Version, "Versions out of order.");
        }
    }
}
