using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseServer.Agents;

/// <summary>The times that this server gives its agents.</summary>
public sealed record Policy
{
    /// <summary>
    /// An agent keeps 16 secrets in GRACE and rotates no further until one ends; each lives for the grace period and
    /// one interval more.
    /// </summary>
    public const int GraceIntervalsMax = 15;

    public TimeSpan RotationInterval { get; init; } = TimeSpan.FromDays(1);

    public TimeSpan GracePeriod { get; init; } = TimeSpan.FromDays(7);

    public TimeSpan CheckInInterval { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>How long an agent keeps a PENDING version whose confirm it has not sent; the server never drops one
    /// by time.</summary>
    public TimeSpan ConfirmWithin { get; init; } = TimeSpan.FromHours(1);

    internal bool StopsRotations => GracePeriod > RotationInterval * GraceIntervalsMax;

    internal AgentPolicy ToWire() => new(
        (int)RotationInterval.TotalSeconds, (int)GracePeriod.TotalSeconds, (int)CheckInInterval.TotalSeconds);

    // Twice the interval: one rotation may be missed altogether before an agent counts as degraded.
    internal UtcTime ValidUntil(UtcTime confirmed) => confirmed + RotationInterval + RotationInterval;

    internal UtcTime GraceUntil(UtcTime confirmed) => ValidUntil(confirmed) + GracePeriod;
}
