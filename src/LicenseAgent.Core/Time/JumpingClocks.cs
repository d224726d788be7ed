using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>The clocks that can jump, read as times.</summary>
internal static class JumpingClocks
{
    // The TPM specification lets the clock run up to 15 % fast.
    private const int TpmSlowestPercent = 85;

    public static IEnumerable<(TimeEvidence Clock, UtcTime Reading)> Of(AgentState state, Now now)
    {
        ClockWatch watch = state.Watch;
        TimeAnchor? anchor = state.Run.Anchor;

        // The last contact has shown by how much the wall clock leads; what it showed is no news.
        TimeSpan lead = anchor?.Wall is { } shown && shown > anchor.ServerTime
            ? shown - anchor.ServerTime
            : TimeSpan.Zero;
        yield return (TimeEvidence.WallClock, now.Wall - lead);

        // Below the anchor it says nothing: a power cut throws it back.
        if (anchor?.TpmClockMs is { } then && watch.Tpm is { } reading && reading.ClockMs > then)
        {
            // Read hourly, with every checkpoint; what the boot clock says beyond that is not the TPM's word.
            long since = Math.Clamp(now.BootMs - reading.BootMs, 0, 2 * Timing.AnchorEveryMs);
            long grown = (reading.ClockMs - then) / 100 * TpmSlowestPercent;
            yield return (TimeEvidence.TpmClock, anchor.ServerTime + TimeSpan.FromMilliseconds(grown + since));
        }

        if (watch.SleepAheadMs > 0)
        {
            UtcTime trusted = state.Clock.At(now.BootMs);
            yield return (TimeEvidence.Sleep, trusted + TimeSpan.FromMilliseconds(watch.SleepAheadMs));
        }
    }

    /// <summary>How long a clock has run as the boot clock does; a jump of either begins it anew.</summary>
    public static long SteadyMs(Turn turn, TimeEvidence clock, UtcTime reading)
    {
        ClockWatch watch = turn.State.Watch;
        switch (clock)
        {
            case TimeEvidence.WallClock:
                ClockTrack wall = Track(watch.WallTrack, turn.Now, reading);
                if (wall != watch.WallTrack)
                {
                    turn.State = turn.State with { Watch = watch with { WallTrack = wall } };
                }

                return turn.Now.BootMs - wall.SinceBootMs;
            case TimeEvidence.TpmClock:
                ClockTrack tpm = Track(watch.TpmTrack, turn.Now, reading);
                if (tpm != watch.TpmTrack)
                {
                    turn.State = turn.State with { Watch = watch with { TpmTrack = tpm } };
                }

                return turn.Now.BootMs - tpm.SinceBootMs;
            case TimeEvidence.Sleep:
                return turn.Now.BootMs - watch.SleptBootMs;
            default:
                throw new InvariantBroken($"{clock} does not jump.");
        }
    }

    private static ClockTrack Track(ClockTrack? before, Now now, UtcTime reading)
    {
        long offset = reading.UnixMs - now.BootMs;
        return before is not null && Math.Abs(offset - before.OffsetMs) <= Timing.SteadyToleranceMs
            ? before
            : new ClockTrack(offset, now.BootMs);
    }
}
