using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// Trusted now: a line that never runs slower than the agent does. Only a verified server time sets it back; clocks
/// that can jump set it forth when there is reason to believe them, because a till that was off must not gain the
/// night.
/// </summary>
internal static class Timekeeping
{
    private static readonly TimeSpan ServerBackTolerated = TimeSpan.FromHours(1);
    private static readonly TimeSpan WorthARecord = TimeSpan.FromHours(1);

    /// <summary>Draws the line anew from this moment and judges the clocks; first in every step.</summary>
    public static void Advance(Turn turn, AgentEvent happened)
    {
        AgentState state = turn.State;
        if (state.Clock == default)
        {
            return;
        }

        ClockWatch watch = state.Watch;
        long boot = Math.Max(0, turn.Now.BootMs - state.Clock.BootMs);
        long awake = Math.Clamp(turn.Now.AwakeMs - watch.AwakeMs, 0, boot);
        long asleep = boot - awake;
        long counted = awake + Math.Min(asleep, Timing.SleepBelievedMs);
        turn.State = state with
        {
            Clock = new TrustedClock(turn.Now.BootMs, state.Clock.Floor + TimeSpan.FromMilliseconds(counted)),
            Watch = watch with
            {
                AwakeMs = turn.Now.AwakeMs,
                Tpm = happened.TpmClock ?? watch.Tpm,
                SleepAheadMs = watch.SleepAheadMs + (boot - counted),
                SleptBootMs = boot > counted ? turn.Now.BootMs : watch.SleptBootMs,
            },
        };
        if (watch.IsStarted)
        {
            Judge(turn, awake, atStart: false);
        }
    }

    /// <summary>What disk and TPM hold together says that it is at least this late; the latest of it counts.</summary>
    /// <param name="mirror">The TPM's copy of the high-water mark.</param>
    public static void Start(Turn turn, UtcTime boundServerTime, UtcTime? mirror)
    {
        Now now = turn.Now;
        RunState run = turn.State.Run;
        List<(UtcTime Time, TimeEvidence Evidence)> floors =
        [
            (turn.TrustedNow, turn.State.Watch.Evidence),
            (turn.State.Settings.BuildTime, TimeEvidence.BuildTime),
            (boundServerTime, TimeEvidence.BoundState),
        ];
        if (run.Anchor is { } anchor && anchor.BootId == now.BootId)
        {
            floors.Add((anchor.ServerTime + Elapsed(now, anchor.BootMs, anchor.AwakeMs), TimeEvidence.Anchor));
        }

        if (run.HighWater is { } water)
        {
            // Another boot: this one has run since, without a state for as long as the TPM was away, and what a power
            // cut may have lost of the last minute is charged.
            TimeSpan since = water.BootId == now.BootId
                ? Elapsed(now, water.BootMs, water.AwakeMs)
                : Elapsed(now, 0, 0) + TimeSpan.FromMilliseconds(Timing.HighWaterEveryMs);
            floors.Add((water.Time + since, TimeEvidence.HighWater));
        }

        bool putBack = mirror is { } kept && (run.HighWater is not { } written || written.Time < kept);
        if (mirror is { } copy)
        {
            // The mirror never leads the file: whoever put that back may have run for as long as one write lasts.
            floors.Add(putBack
                ? (copy + TimeSpan.FromMilliseconds(Timing.PutBackChargeMs), TimeEvidence.MirrorCharged)
                : (copy, TimeEvidence.Mirror));
        }

        (UtcTime latest, TimeEvidence evidence) = floors.MaxBy(floor => floor.Time);
        turn.State = turn.State with
        {
            Clock = new TrustedClock(now.BootMs, latest),
            Watch = turn.State.Watch with
            {
                IsStarted = true,
                Evidence = evidence,
                Mirror = mirror,
                IsRunPutBack = putBack,
                MirroredBootMs = null,
            },
        };
        Judge(turn, ranMs: 0, atStart: true);
    }

    /// <summary>A verified server time alone moves trusted now back; it moves it forth as well.</summary>
    public static void Anchor(Turn turn, UtcTime serverTime, long sentBootMs)
    {
        UtcTime before = turn.TrustedNow;
        NoteServerClock(turn, serverTime);
        TimeAnchor anchor = AnchorAt(turn, serverTime, sentBootMs);
        UtcTime floor = UtcTime.Max(serverTime, turn.State.Settings.BuildTime);
        UtcTime after = floor + Elapsed(turn.Now, anchor.BootMs, anchor.AwakeMs);
        turn.State = turn.State with
        {
            Clock = new TrustedClock(turn.Now.BootMs, after),
            Watch = turn.State.Watch with
            {
                IsStarted = true,
                Evidence = TimeEvidence.Anchor,
                SleepAheadMs = 0,
                IsRunPutBack = false,
                ContactBootMs = turn.Now.BootMs,

                // A mirror ahead of the file would look to the next start like a file put back.
                MirroredBootMs = after < before ? null : turn.State.Watch.MirroredBootMs,
            },
        };
        turn.UpdateRun(run => run with
        {
            Anchor = anchor,
            LastContact = after,
            DoubtedMs = 0,

            // Moments kept from before are of the clock that was just corrected.
            LastRotation = run.LastRotation is { } rotated && rotated > after ? after : run.LastRotation,
            CloneSuspectSince = run.CloneSuspectSince is { } since && since > after ? after : run.CloneSuspectSince,
        });
        if (before - after > WorthARecord)
        {
            turn.Audit("clock_corrected", turn.State.Run.Mode, "ok", durable: false,
                ("from", before.ToString()), ("to", after.ToString()));
        }
    }

    /// <summary>
    /// Time since a moment of this boot; of the sleep in between only what is believed at once.
    /// </summary>
    /// <param name="sinceAwakeMs">Unknown: as if the machine had not slept.</param>
    public static TimeSpan Elapsed(Now now, long sinceBootMs, long? sinceAwakeMs)
    {
        long boot = Math.Max(0, now.BootMs - sinceBootMs);
        long awake = Math.Clamp(now.AwakeMs - (sinceAwakeMs ?? (now.AwakeMs - boot)), 0, boot);
        return TimeSpan.FromMilliseconds(awake + Math.Min(boot - awake, Timing.SleepBelievedMs));
    }

    private static void NoteServerClock(Turn turn, UtcTime serverTime)
    {
        if (turn.State.Run.Anchor is { } last && last.ServerTime - serverTime > ServerBackTolerated)
        {
            turn.Trouble("server_clock_back", $"The server's time went back from {last.ServerTime} to {serverTime}. "
                + "Check the server's clock.");
        }
        else
        {
            turn.TroubleOver("server_clock_back");
        }
    }

    /// <summary>The clocks as they stood when the request was sent.</summary>
    private static TimeAnchor AnchorAt(Turn turn, UtcTime serverTime, long sentBootMs)
    {
        Now now = turn.Now;
        long sinceMs = Math.Max(0, now.BootMs - sentBootMs);

        // A machine that slept over the answer was awake no longer than since it decided to ask.
        long awake = Math.Max(now.AwakeMs - sinceMs, Math.Min(turn.State.SentAwakeMs, now.AwakeMs));
        long? tpm = turn.State.Watch.Tpm is { } reading
            ? reading.ClockMs + Math.Max(0, sentBootMs - reading.BootMs)
            : null;
        return new TimeAnchor(
            serverTime, now.BootId, sentBootMs, awake, now.Wall - TimeSpan.FromMilliseconds(sinceMs), tpm);
    }

    /// <param name="ranMs">How long the agent has run since the step before.</param>
    private static void Judge(Turn turn, long ranMs, bool atStart)
    {
        UtcTime before = turn.TrustedNow;
        List<JumpingClock> judged = [];
        foreach ((TimeEvidence clock, UtcTime reading) in JumpingClocks.Of(turn.State, turn.Now))
        {
            long ahead = reading.UnixMs - before.UnixMs;
            long steady = JumpingClocks.SteadyMs(turn, clock, reading);
            judged.Add(new JumpingClock(clock, reading, ahead, steady, VerdictOn(ahead, steady, atStart)));
        }

        if (judged.Where(c => c.Verdict == ClockVerdict.Believed).MaxBy(c => c.AheadMs) is { } believed)
        {
            MoveTo(turn, believed);
        }

        Doubt(turn, judged, ranMs);
        turn.State = turn.State with { Watch = turn.State.Watch with { Judged = judged } };
    }

    private static ClockVerdict VerdictOn(long aheadMs, long steadyMs, bool atStart) => aheadMs switch
    {
        < Timing.ClockAheadMinMs => ClockVerdict.NotAhead,
        >= Timing.ForwardJumpMaxMs => ClockVerdict.TooFarAhead,
        _ => atStart || steadyMs >= Timing.SteadyMs ? ClockVerdict.Believed : ClockVerdict.Unsteady,
    };

    /// <summary>
    /// A clock too far ahead is right after a long time off, or a dead battery. The server knows; where it cannot be
    /// asked, 48 h of running must pass, over however many starts.
    /// </summary>
    private static void Doubt(Turn turn, List<JumpingClock> judged, long ranMs)
    {
        // The nearest: one that went mad must not take another's turn.
        JumpingClock? nearest = judged.Where(c => c.Verdict == ClockVerdict.TooFarAhead).MinBy(c => c.AheadMs);
        if (nearest is null)
        {
            if (turn.State.Watch.DoubtSinceBootMs is not null)
            {
                turn.State = turn.State with { Watch = turn.State.Watch with { DoubtSinceBootMs = null } };
            }

            return;
        }

        turn.UpdateRun(run => run with { DoubtedMs = run.DoubtedMs + ranMs });
        if (turn.State.Run.DoubtedMs >= Timing.ForwardJumpMaxMs && nearest.SteadyMs >= Timing.SteadyMs)
        {
            judged[judged.IndexOf(nearest)] = nearest with { Verdict = ClockVerdict.Believed };
            MoveTo(turn, nearest);
            turn.UpdateRun(run => run with { DoubtedMs = 0 });
            return;
        }

        AskContact(turn);
    }

    private static void AskContact(Turn turn)
    {
        ClockWatch watch = turn.State.Watch;
        long since = watch.DoubtSinceBootMs ?? turn.Now.BootMs;
        bool answered = watch.ContactBootMs is { } contact
            && contact >= Math.Min(since, turn.Now.BootMs - Timing.DoubtContactMs);
        bool asked = watch.AskedBootMs is { } last && turn.Now.BootMs - last < Timing.DoubtContactMs;
        turn.State = turn.State with { Watch = watch with { DoubtSinceBootMs = since } };
        if (!answered && !asked)
        {
            turn.State = turn.State with
            {
                CheckInDueBootMs = turn.Now.BootMs,
                CheckInGate = default,
                Watch = turn.State.Watch with { AskedBootMs = turn.Now.BootMs },
            };
        }
    }

    private static void MoveTo(Turn turn, JumpingClock clock)
    {
        UtcTime before = turn.TrustedNow;
        ClockWatch watch = turn.State.Watch;
        turn.State = turn.State with
        {
            Clock = new TrustedClock(turn.Now.BootMs, clock.Reading),
            Watch = watch with
            {
                Evidence = clock.Clock,
                SleepAheadMs = Math.Max(0, watch.SleepAheadMs - clock.AheadMs),
            },
        };
        if (clock.Reading - before > WorthARecord)
        {
            turn.Audit("clock_believed", clock.Clock.ToString(), "ok", durable: false,
                ("clock", ClockText.Of(clock.Clock)), ("from", before.ToString()),
                ("to", clock.Reading.ToString()));
        }
    }
}
