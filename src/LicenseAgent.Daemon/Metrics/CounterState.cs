namespace LicenseAgent.Daemon.Metrics;

/// <summary>
/// The counters that go on counting after a restart; part of <c>run.json</c>. What was counted after the last write of
/// it is lost at a crash, which Prometheus takes for a small reset.
/// </summary>
/// <param name="ValidationsFailed">By reason; the sum is <c>license_agent_validations_failed</c>.</param>
internal sealed record CounterState(
    long Rotations, long RotationsFailed, long Validations, IReadOnlyDictionary<string, long> ValidationsFailed,
    long UnauthorizedAccess)
{
    public static readonly CounterState Empty = new(0, 0, 0, new Dictionary<string, long>(), 0);
}
