using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi.Validation;

/// <summary>The moment a token is judged at: one snapshot and one reading of each clock for all of it.</summary>
/// <param name="WallClock">Only ever helps a license to begin, never to last.</param>
internal readonly record struct Moment(AgentSnapshot Snapshot, UtcTime TrustedNow, UtcTime WallClock);

/// <summary>How a token was judged.</summary>
/// <param name="Reason">One of <see cref="ValidationReasons"/>.</param>
/// <param name="Token">Set after a verified signature, whatever the reason.</param>
/// <param name="UsableUntil">Only when valid.</param>
/// <param name="RenewedToken">Only when valid under a GRACE secret.</param>
internal readonly record struct Verdict(
    string Reason, AgentMode Mode, string Protection, VerifiedToken? Token = null,
    UtcTime UsableUntil = default, byte[]? RenewedToken = null)
{
    // Reasons are constants and are compared as such.
    public bool IsValid => ReferenceEquals(Reason, ValidationReasons.Valid);
}
