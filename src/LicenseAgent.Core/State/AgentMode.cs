using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>What the agent can do for applications at this moment.</summary>
public enum AgentMode
{
    Normal,
    Offline,
    Degraded,
    Exhausted,
    Locked,
}

/// <summary>Why the agent is LOCKED.</summary>
public enum LockReason
{
    Starting,
    NotEnrolled,
    StateRollback,
    StateCorrupt,
    SecretUnreadable,
    TpmUnavailable,
    TpmReplaced,

    /// <summary>What <c>agent.json</c> holds cannot be read: the till does not know who it is.</summary>
    IdentityDamaged,

    /// <summary>Key and certificate for the server cannot be read: nobody but an enrolment can give others.</summary>
    CertificateDamaged,
    Suspended,
    NoSecret,
}

/// <summary>
/// The facts a mode follows from; nothing is remembered between two evaluations, so that time alone moves the mode.
/// PENDING is not among them: it opens tokens and never prolongs anything.
/// </summary>
/// <param name="Lock">Set while something locks the agent whatever the time.</param>
/// <param name="ValidUntil">End of ACTIVE's normal life; <see langword="null"/> without ACTIVE.</param>
/// <param name="EffectiveEnd">End of its use altogether, directives and local configuration applied.</param>
/// <param name="LastContact">Last authenticated answer.</param>
/// <param name="OfflineAfter">How long without contact until OFFLINE.</param>
/// <param name="DegradedAllowed">Where false, DEGRADED behaves as EXHAUSTED.</param>
public sealed record ModeFacts(
    LockReason? Lock, UtcTime? ValidUntil, UtcTime? EffectiveEnd, UtcTime? LastContact,
    TimeSpan OfflineAfter, bool DegradedAllowed)
{
    /// <summary>The mode at a trusted time.</summary>
    public AgentMode At(UtcTime trustedNow)
    {
        if (Lock is not null || ValidUntil is not { } validUntil || EffectiveEnd is not { } end)
        {
            return AgentMode.Locked;
        }

        if (trustedNow >= end || (trustedNow >= validUntil && !DegradedAllowed))
        {
            return AgentMode.Exhausted;
        }

        if (trustedNow >= validUntil)
        {
            return AgentMode.Degraded;
        }

        return LastContact is { } contact && trustedNow - contact < OfflineAfter
            ? AgentMode.Normal
            : AgentMode.Offline;
    }

    /// <summary>The reason to show while LOCKED.</summary>
    public LockReason? ReasonWhenLocked => Lock ?? (ValidUntil is null ? LockReason.NoSecret : null);

    /// <summary>Until when validations can succeed; <see langword="null"/> when none can now.</summary>
    public UtcTime? UsableUntil(UtcTime trustedNow) => At(trustedNow) switch
    {
        AgentMode.Locked or AgentMode.Exhausted => null,
        _ when DegradedAllowed => EffectiveEnd,
        _ => UtcTime.Min(EffectiveEnd!.Value, ValidUntil!.Value),
    };
}

/// <summary>The words of modes and lock reasons on the wire.</summary>
public static class ModeText
{
    public static string Of(AgentMode mode) => mode switch
    {
        AgentMode.Normal => "NORMAL",
        AgentMode.Offline => "OFFLINE",
        AgentMode.Degraded => "DEGRADED",
        AgentMode.Exhausted => "EXHAUSTED",
        AgentMode.Locked => "LOCKED",
        _ => throw new InvariantBroken($"Mode {mode} has no word."),
    };

    public static string Of(LockReason reason) => reason switch
    {
        LockReason.Starting => "starting",
        LockReason.NotEnrolled => "not_enrolled",
        LockReason.StateRollback => "state_rollback",
        LockReason.StateCorrupt => "state_corrupt",
        LockReason.SecretUnreadable => "secret_unreadable",
        LockReason.TpmUnavailable => "tpm_unavailable",
        LockReason.TpmReplaced => "tpm_replaced",
        LockReason.IdentityDamaged => "identity_damaged",
        LockReason.CertificateDamaged => "certificate_damaged",
        LockReason.Suspended => "suspended",
        LockReason.NoSecret => "NO_SECRET",
        _ => throw new InvariantBroken($"Lock reason {reason} has no word."),
    };
}
