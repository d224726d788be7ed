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

        Timekeeping.Anchor(turn, e.Answer.ServerTime, e.SentBootMs);
        if (e.Answer is RefusalAnswer refusal)
        {
            Refusals.On(turn, exchanging, refusal);
            return;
        }

        if (exchanging.Plan.Software && exchanging.Plan is not RequestPlan.CheckIn)
        {
            OnSoftware(turn, exchanging.Plan, e);
            return;
        }

        if (!exchanging.Plan.Software)
        {
            SoftwareFallback.End(turn);
        }

        ForgetRefusals(turn, exchanging.Plan);
        switch (exchanging.Plan, e.Answer)
        {
            case (RequestPlan.Prepare, RotateSecretAnswer a): Rotation.OnPrepared(turn, a, e.Raw); break;
            case (RequestPlan.Confirm, ConfirmRotationAnswer a): Rotation.OnConfirmed(turn, a); break;
            case (RequestPlan.Reject, RejectRotationAnswer): Rotation.OnRejected(turn); break;
            case (RequestPlan.RenewLicense p, LicenseRenewalAnswer a): Renewals.OnRenewed(turn, p, a); break;
            case (RequestPlan.RenewCertificate p, RenewCertificateAnswer a): Certificates.OnAnswered(turn, p, a); break;
            case (RequestPlan.CheckIn p, CheckInAnswer a): CheckIns.OnAnswered(turn, p, a, e.Raw); break;
            default: throw new InvariantBroken($"{e.Answer.GetType().Name} answers {exchanging.Plan}.");
        }
    }

    private static void OnSoftware(Turn turn, RequestPlan plan, AgentEvent.AnswerArrived e)
    {
        turn.TroubleOver("downgrade_refused");
        switch (plan, e.Answer)
        {
            case (RequestPlan.Prepare, RotateSecretAnswer a): SoftwareFallback.OnPrepared(turn, a, e.Raw); break;
            case (RequestPlan.Confirm, ConfirmRotationAnswer a): SoftwareFallback.OnConfirmed(turn, a); break;
            default: throw new InvariantBroken($"{e.Answer.GetType().Name} answers {plan}.");
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
                CheckIns.Failed(turn, reason, wait, PatienceMs(turn, turn.State.CheckInGate));
                break;
            case RequestPlan.RenewLicense renew:
                Renewals.Failed(turn, renew, reason);
                break;
            case RequestPlan.RenewCertificate:
                Certificates.Failed(turn, wait);
                break;
            case { Software: true }:
                SoftwareFallback.Failed(turn, reason, wait);
                break;
            case RequestPlan.Prepare prepare:
                long patience = RotationPatienceMs(turn, prepare.Intent);
                Rotation.AttemptFailed(turn, reason);
                Rotation.HoldFor(turn, wait);
                turn.State = turn.State with
                {
                    RotationGate = turn.State.RotationGate with { PatientUntilBootMs = turn.Now.BootMs + patience },
                };
                break;
            default:
                Rotation.AttemptFailed(turn, reason);
                Rotation.HoldFor(turn, wait);
                break;
        }
    }

    /// <summary>
    /// What became due in an outage comes on top of the check-ins, two requests each; after a day of it that is the
    /// whole fleet's. Over twelve intervals it is a sixth more. Where less is left of ACTIVE's life, or somebody
    /// ordered the rotation, two intervals have to do.
    /// </summary>
    private static long RotationPatienceMs(Turn turn, RotationIntent intent)
    {
        long regular = PatienceMs(turn, turn.State.RotationGate);
        if (intent.Reason != RotationReasons.Scheduled || Views.Facts(turn.State).ValidUntil is not { } end)
        {
            return 2 * regular;
        }

        long left = (long)(end - turn.TrustedNow).TotalMilliseconds;
        return Math.Max(2 * regular, Math.Min(12 * regular, left / 3));
    }

    /// <summary>
    /// How long a till that has all it needs waits after its first tries: a back-off of minutes would bring a whole
    /// fleet back within them when its server returns, at several times the rate that the server is built for.
    /// </summary>
    private static long PatienceMs(Turn turn, RetryGate gate)
    {
        long regular = (long)Views.CheckInInterval(turn.State).TotalMilliseconds;
        return gate.Failures >= Timing.QuickTries && regular > Timing.BackoffMaxMs
            && Views.HasAllItNeeds(turn.State, turn.TrustedNow)
            ? Timing.Spread(regular, turn.Now.Draw(13))
            : 0;
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
