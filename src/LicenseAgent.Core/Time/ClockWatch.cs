using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>What trusted now rests on since it was last set; from there it runs with the boot clock.</summary>
public enum TimeEvidence
{
    BuildTime,

    /// <summary><c>server_time</c> of the bound state.</summary>
    BoundState,

    /// <summary>The server's last word.</summary>
    Anchor,

    /// <summary>The high-water mark of <c>run.json</c>.</summary>
    HighWater,

    /// <summary>The copy of the high-water mark in the TPM.</summary>
    Mirror,

    /// <summary>That copy, and the longest time between two writes of it: the run state was put back.</summary>
    MirrorCharged,

    WallClock,
    TpmClock,

    /// <summary>Time asleep beyond what is believed at once.</summary>
    Sleep,
}

/// <summary>TPM2_ReadClock.</summary>
/// <param name="BootMs">CLOCK_BOOTTIME, milliseconds, when it was read.</param>
public readonly record struct TpmReading(long ClockMs, long BootMs);

/// <summary>How long a clock has run as the boot clock does.</summary>
/// <param name="OffsetMs">The clock less CLOCK_BOOTTIME when that began.</param>
public sealed record ClockTrack(long OffsetMs, long SinceBootMs);

/// <summary>A clock that can jump, as one step judged it.</summary>
/// <param name="Reading">What it says the time is, corrected by what the last contact showed of it.</param>
/// <param name="AheadMs">Of trusted now.</param>
/// <param name="SteadyMs">How long it has run as the boot clock does.</param>
/// <param name="Verdict">What follows from that.</param>
public sealed record JumpingClock(
    TimeEvidence Clock, UtcTime Reading, long AheadMs, long SteadyMs, ClockVerdict Verdict);

/// <summary>Whether a clock that can jump moves trusted now.</summary>
public enum ClockVerdict
{
    /// <summary>It says nothing that is not known.</summary>
    NotAhead,

    /// <summary>It moved trusted now in this step.</summary>
    Believed,

    /// <summary>Ahead by little, but not for long enough.</summary>
    Unsteady,

    /// <summary>Ahead by so much that contact, or 48 h of running without it, must say so too.</summary>
    TooFarAhead,
}

/// <summary>What the clocks have shown since the process started; memory only.</summary>
/// <param name="AwakeMs">CLOCK_MONOTONIC at the last step.</param>
/// <param name="IsStarted">The line rests on what the disk holds; clocks that can jump are judged from here on.</param>
/// <param name="Tpm">Latest reading of the TPM's clock.</param>
/// <param name="SleepAheadMs">How far the sleeps that were longer than believed lead.</param>
/// <param name="SleptBootMs">When the last of them ended.</param>
/// <param name="Mirror">The TPM's copy of the high-water mark.</param>
/// <param name="IsRunPutBack">At start the run state was missing or behind it; until contact.</param>
/// <param name="DoubtSinceBootMs">Since when a clock has been too far ahead.</param>
/// <param name="AskedBootMs">When contact was last asked for because of it.</param>
/// <param name="ContactBootMs">When the last authenticated answer came.</param>
/// <param name="MirroredBootMs">When the TPM's copy was last written; <see langword="null"/>: it is owed.</param>
/// <param name="Judged">The clocks that can jump, at the last step.</param>
public sealed record ClockWatch(
    long AwakeMs, bool IsStarted, TimeEvidence Evidence, TpmReading? Tpm, long SleepAheadMs, long SleptBootMs,
    ClockTrack? WallTrack, ClockTrack? TpmTrack, UtcTime? Mirror, bool IsRunPutBack, long? DoubtSinceBootMs,
    long? AskedBootMs, long? ContactBootMs, long? MirroredBootMs, IReadOnlyList<JumpingClock> Judged)
{
    public static readonly ClockWatch Initial = new(
        0, false, TimeEvidence.BuildTime, null, 0, 0, null, null, null, false, null, null, null, null, []);
}
