using System.Collections.Frozen;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon;

/// <summary>
/// What validations and status calls see. Immutable; the loop replaces it whole after every step, readers take one
/// volatile read and never wait for the loop.
/// </summary>
/// <param name="AgentId">Empty before enrolment.</param>
/// <param name="Clock">Trusted now, running.</param>
/// <param name="Mode">Facts from which the mode at this moment follows.</param>
/// <param name="Secrets">By exact <c>kid</c>.</param>
/// <param name="Awaited">What a start has still to read: its <c>kid</c>, and until when it is good.</param>
/// <param name="Active">The entry of <paramref name="Secrets"/> that renewed tokens are wrapped under.</param>
/// <param name="HighestVersion">Versions above it are unknown, at or below it and not held are invalidated.</param>
/// <param name="KeysetVersion">Cached verifications are bound to it.</param>
/// <param name="LicenseKeys">License-scope keys by thumbprint.</param>
/// <param name="RevokedLicenses">License ids.</param>
/// <param name="Status">Everything the status calls show that does not depend on the time of the call.</param>
internal sealed record AgentSnapshot(
    string AgentId, TrustedClock Clock, ModeFacts Mode,
    FrozenDictionary<string, UsableSecret> Secrets, FrozenDictionary<string, UtcTime> Awaited, UsableSecret? Active,
    long HighestVersion,
    long KeysetVersion, FrozenDictionary<string, EcPublicJwk> LicenseKeys, FrozenSet<string> RevokedLicenses,
    SnapshotStatus Status);

/// <summary>The part of a snapshot that only status calls read.</summary>
internal sealed record SnapshotStatus(
    IReadOnlyList<SecretView> Secrets, long MinValidVersion, TpmResponse Tpm,
    UtcTime? NextRotation, UtcTime? LastContact, IReadOnlyList<AlertView> Alerts,
    IReadOnlyList<ProtectionView> Protections, SnapshotClock Clock);

/// <summary>What trusted now rested on at the last step.</summary>
/// <param name="Proven">Proven now, running with the boot clock where the anchor is of this boot.</param>
internal sealed record SnapshotClock(
    ClockWatch Watch, TimeAnchor? Anchor, UtcTime? HighWater, TrustedClock? Proven, long DoubtedMs);
