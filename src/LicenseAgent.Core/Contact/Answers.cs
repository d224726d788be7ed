using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>Verified answers: successes to their phase, refusals by the table of the protocol.</summary>
internal static class Answers
{
    public static void OnArrived(Turn turn, AgentEvent.AnswerArrived e)
    {
        Activity.Exchanging exchanging = Expect.During<Activity.Exchanging>(turn);
        if (e.Answer is RefusalAnswer unknown && !Refusals.IsKnown(unknown.Error))
        {
            NoContact(turn, exchanging.Plan, "unknown_refusal", 0);
            return;
        }

        Anchor(turn, e.Answer.ServerTime, e.SentBootMs);
        if (e.Answer is RefusalAnswer refusal)
        {
            Refusals.On(turn, exchanging, refusal);
            return;
        }

        ForgetRefusals(turn, exchanging.Plan);
        switch (exchanging.Plan, e.Answer)
        {
            case (RequestPlan.Prepare, RotateSecretAnswer a): Rotation.OnPrepared(turn, a, e.Raw); break;
            case (RequestPlan.Confirm, ConfirmRotationAnswer a): Rotation.OnConfirmed(turn, a); break;
            case (RequestPlan.Reject, RejectRotationAnswer): Rotation.OnRejected(turn); break;
            case (RequestPlan.RenewLicense p, LicenseRenewalAnswer a): Renewals.OnRenewed(turn, p, a); break;
            case (RequestPlan.CheckIn p, CheckInAnswer a): CheckIns.OnAnswered(turn, p, a, e.Raw); break;
            default: throw new InvariantBroken($"{e.Answer.GetType().Name} answers {exchanging.Plan}.");
        }
    }

    /// <summary>Nothing authenticated came: nothing changes but the next try.</summary>
    public static void OnContactFailed(Turn turn, AgentEvent.ContactFailed e)
    {
        Activity.Exchanging exchanging = Expect.During<Activity.Exchanging>(turn);
        long wait = e.RetryAfter is { } after
            ? Math.Clamp((long)after.TotalMilliseconds, 0, Timing.UnsignedDelayMaxMs)
            : 0;
        if (e.Reason == Keysets.UnknownKey)
        {
            Keysets.OnUnknownKey(turn);
        }

        NoContact(turn, exchanging.Plan, e.Reason, wait);
    }

    private static void NoContact(Turn turn, RequestPlan plan, string reason, long wait)
    {
        switch (plan)
        {
            case RequestPlan.CheckIn:
                CheckIns.Failed(turn, reason, wait);
                break;
            case RequestPlan.RenewLicense renew:
                Renewals.Failed(turn, renew, reason);
                break;
            default:
                Rotation.AttemptFailed(turn, reason);
                Rotation.HoldFor(turn, wait);
                break;
        }
    }

    /// <summary>A verified server time is the one thing that moves trusted now, back as well as forth.</summary>
    public static void Anchor(Turn turn, UtcTime serverTime, long sentBootMs)
    {
        UtcTime before = turn.TrustedNow;
        TimeAnchor anchor = new(serverTime, turn.Now.BootId, sentBootMs);
        UtcTime floor = UtcTime.Max(serverTime, turn.State.Settings.BuildTime);
        if (turn.State.Run.Anchor is { } last && last.ServerTime - serverTime > TimeSpan.FromHours(1))
        {
            turn.Trouble("server_clock_back", $"The server's time went back from {last.ServerTime} to {serverTime}. "
                + "Check the server's clock.");
        }
        else
        {
            turn.TroubleOver("server_clock_back");
        }

        turn.State = turn.State with { Clock = new TrustedClock(sentBootMs, floor) };
        UtcTime after = turn.TrustedNow;
        turn.UpdateRun(run => run with
        {
            Anchor = anchor,
            LastContact = after,

            // Moments kept from before are of the clock that was just corrected.
            LastRotation = run.LastRotation is { } rotated && rotated > after ? after : run.LastRotation,
            CloneSuspectSince = run.CloneSuspectSince is { } since && since > after ? after : run.CloneSuspectSince,
        });
        if (before - after > TimeSpan.FromHours(1))
        {
            turn.Audit("clock_corrected", turn.State.Run.Mode, "ok", durable: false,
                ("from", before.ToString()), ("to", after.ToString()));
        }
    }

    private static void ForgetRefusals(Turn turn, RequestPlan plan)
    {
        foreach (string id in (string[])["agent_unknown", "request_mismatch"])
        {
            turn.TroubleOver(id);
        }

        // A suspect agent's check-in is answered as ever, and so is one with an expired certificate: only another
        // answer shows that it is over.
        if (plan is not RequestPlan.CheckIn)
        {
            turn.TroubleOver("certificate_expired");
            turn.TroubleOver("clone_suspect");
            turn.TroubleOver("downgrade_refused");
        }
    }
}
