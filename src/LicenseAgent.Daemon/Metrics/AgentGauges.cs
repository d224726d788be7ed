using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Metrics;

/// <summary>
/// What the loop knows at one moment. A change of any member is published at once; <see langword="null"/> is not
/// exported, because a zero would read as 1970.
/// </summary>
/// <param name="SecretsActive">0 or 1.</param>
/// <param name="LastRotation">Last commit, by trusted now.</param>
/// <param name="SecretExpiry">End of ACTIVE's normal life.</param>
/// <param name="GraceUntil">End of ACTIVE's use altogether.</param>
/// <param name="ClientCertExpiry"><c>notAfter</c> of the certificate this agent shows to the server.</param>
/// <param name="RotationFailuresInARow">Failed rotations since the last success.</param>
/// <param name="AuditChainOk">The chain verified at start and every record since was written.</param>
internal sealed record AgentGauges(
    AgentMode Mode, int SecretsActive, int SecretsGrace, bool TpmAvailable, UtcTime? LastRotation,
    UtcTime? SecretExpiry, UtcTime? GraceUntil, UtcTime? ClientCertExpiry, int RotationFailuresInARow,
    bool AuditChainOk)
{
    /// <summary>A version of the software keys serves.</summary>
    public bool SoftwareFallback { get; init; }

    /// <summary>Of an agent that has just started.</summary>
    public static readonly AgentGauges Starting =
        new(AgentMode.Locked, 0, 0, false, null, null, null, null, 0, true);
}

/// <summary>What moves all the time, and is read when somebody looks.</summary>
/// <param name="AuditSeq">Of the newest record written.</param>
/// <param name="ClockSkew">Wall clock minus trusted now.</param>
internal readonly record struct MovingGauges(long AuditSeq, TimeSpan ClockSkew);
