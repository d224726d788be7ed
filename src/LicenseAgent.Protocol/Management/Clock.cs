using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Management;

/// <summary>A clock that can jump, and what the agent makes of it.</summary>
/// <param name="Clock"><c>wall_clock</c>, <c>tpm_clock</c> or <c>sleep</c>.</param>
/// <param name="Reading">The time it says, less what the last contact has shown it to lead by.</param>
/// <param name="AheadMs">Of trusted now; negative behind.</param>
/// <param name="SteadyS">How long it has run as the boot clock does.</param>
/// <param name="Verdict"><c>not_ahead</c>, <c>believed</c>, <c>unsteady</c> or <c>too_far_ahead</c>.</param>
/// <param name="Why">What follows from that, for people.</param>
public sealed record ClockView(
    string Clock, UtcTime Reading, long AheadMs, long SteadyS, string Verdict, string Why);

/// <summary><c>GET /v1/clock</c>. What is judged is judged at least once a minute; the times are of the call.</summary>
/// <param name="RestsOn">
/// What last set trusted now: <c>build_time</c>, <c>bound_state</c>, <c>anchor</c>, <c>high_water</c>, <c>mirror</c>,
/// <c>mirror_charged</c>, <c>wall_clock</c>, <c>tpm_clock</c> or <c>sleep</c>. From there it runs with the boot clock.
/// </param>
/// <param name="ProvenNow">The server's last word and the time of this boot since; before contact
/// <see langword="null"/>.</param>
/// <param name="WallAheadMs">The wall clock less trusted now.</param>
/// <param name="AnchorTime">The server's last word.</param>
/// <param name="AnchorOfThisBoot">Whether it was said in this boot, so that time since is known.</param>
/// <param name="HighWater">Trusted now as last written to the disk.</param>
/// <param name="Mirror">Trusted now as last written to the TPM, or as found there.</param>
/// <param name="RunStatePutBack">The file was missing or behind the TPM's copy; ends with contact.</param>
/// <param name="DoubtedS">Seconds run without contact while a clock was too far ahead; at 48 h it is believed.</param>
public sealed record ClockResponse(
    UtcTime TrustedNow, string RestsOn, UtcTime? ProvenNow, UtcTime WallClock, long WallAheadMs,
    IReadOnlyList<ClockView> Clocks, UtcTime? AnchorTime, bool AnchorOfThisBoot, UtcTime? HighWater, UtcTime? Mirror,
    bool RunStatePutBack, long DoubtedS, string BootId, long BootMs, long AwakeMs);
