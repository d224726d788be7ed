using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>Authenticated refusals, one row of the protocol's table a case: contact, never an outage.</summary>
internal static class Refusals
{
    public static bool IsKnown(string error) =>
        error is ServerErrors.ClockSkew or ServerErrors.Replay or ServerErrors.RequestMismatch
            or ServerErrors.RateLimited or ServerErrors.VersionConflict or ServerErrors.RejectedProof
            or ServerErrors.DowngradeRefused or ServerErrors.CertificateExpired or ServerErrors.AgentUnknown
            or ServerErrors.CloneSuspect or ServerErrors.AgentSuspended or ServerErrors.EnrollmentRefused
            or ServerErrors.LicenseRefused;

    public static void On(Turn turn, Activity.Exchanging exchanging, RefusalAnswer refusal)
    {
        RequestPlan plan = exchanging.Plan;
        turn.Audit("server_refused", plan.RequestId, "refused", durable: false,
            ("error", refusal.Error), ("detail", refusal.Detail));
        if (plan.Software && plan is not RequestPlan.CheckIn)
        {
            SoftwareFallback.OnRefused(turn, exchanging, refusal);
            return;
        }

        switch (refusal.Error)
        {
            case ServerErrors.ClockSkew or ServerErrors.Replay:
                // The clock is anchored by now and a repeat has a new nonce: once at once, then with back-off. Whether
                // there is still something to repeat is looked at anew, for the clock may have ended it.
                if (!exchanging.RepeatedAtOnce)
                {
                    turn.State = turn.State with { RepeatsAtOnce = true };
                    return;
                }

                Wait(turn, plan, refusal.Error, 0);
                break;
            case ServerErrors.RequestMismatch:
                OnMismatch(turn, plan);
                break;
            case ServerErrors.RateLimited:
                Wait(turn, plan, refusal.Error,
                    Math.Clamp((refusal.RetryAfterS ?? 0) * 1000L, 0, Timing.SignedDelayMaxMs));
                break;
            case ServerErrors.LicenseRefused when plan is RequestPlan.RenewLicense renew:
                Renewals.Failed(turn, renew, "refused", refusal.Detail);
                break;
            case ServerErrors.VersionConflict when plan is not RequestPlan.RenewLicense:
                OnVersionConflict(turn, plan, refusal);
                break;
            case ServerErrors.RejectedProof when plan is RequestPlan.Confirm && turn.State.Run.Pending is { } pending:
                Rotation.DropPending(turn, "rejected_proof");
                Rotation.GiveBack(turn, pending.Entry.Version, RejectReasons.KcvMismatch);
                Wait(turn, plan, refusal.Error, 0);
                break;
            case ServerErrors.AgentSuspended:
                if (!turn.State.Run.Levels.Suspended)
                {
                    turn.Audit("agent_suspended", "refusal", durable: true);
                }

                turn.UpdateRun(run => run with { Levels = run.Levels with { Suspended = true } });
                turn.State = turn.State with { CheckInUrgent = true };
                Wait(turn, plan, refusal.Error, 0);
                break;
            case ServerErrors.CloneSuspect or ServerErrors.DowngradeRefused or ServerErrors.CertificateExpired
                or ServerErrors.AgentUnknown:
                Hold(turn, plan, refusal);
                break;
            default:
                Wait(turn, plan, refusal.Error, 0);
                break;
        }

        turn.SaveRun();
    }

    private static void OnMismatch(Turn turn, RequestPlan plan)
    {
        turn.Trouble("request_mismatch", "The server has another request under the same id. A new one is made; if this "
            + "goes on, two machines share this till's identity.");
        turn.UpdateRun(run => run with
        {
            Intent = plan is RequestPlan.Prepare && run.Intent is { } i
                ? i with { RequestId = turn.Now.NewRequestId(turn.TrustedNow, 6) }
                : run.Intent,
            Pending = plan is RequestPlan.Confirm && run.Pending is { } p
                ? p with { ConfirmRequestId = turn.Now.NewRequestId(turn.TrustedNow, 4) }
                : run.Pending,
            Reject = plan is RequestPlan.Reject && run.Reject is { } r
                ? r with { RequestId = turn.Now.NewRequestId(turn.TrustedNow, 5) }
                : run.Reject,
        });
        Wait(turn, plan, ServerErrors.RequestMismatch, 0);
    }

    private static void OnVersionConflict(Turn turn, RequestPlan plan, RefusalAnswer refusal)
    {
        if (turn.State.Run.Pending is not null)
        {
            Rotation.DropPending(turn, "version_conflict");
        }

        // An absurd number would burn every version below it; the jump rule holds for refusals as well.
        long highest = Views.Highest(turn.State);
        long told = Math.Clamp(refusal.HighestVersion ?? 0, highest, highest + AgentApiLimits.VersionJump);
        turn.UpdateRun(run => run with
        {
            Highest = told,
            Reject = plan is RequestPlan.Reject ? null : run.Reject,
        });
        if (plan is not (RequestPlan.CheckIn or RequestPlan.RenewCertificate))
        {
            Rotation.Intend(turn, RotationReasons.Scheduled);
        }

        Wait(turn, plan, ServerErrors.VersionConflict, 0);
    }

    /// <summary>A refusal that only an operator ends, as an alert.</summary>
    public static void Note(Turn turn, string error)
    {
        if (error == ServerErrors.CloneSuspect)
        {
            turn.UpdateRun(run => run with { CloneSuspectSince = run.CloneSuspectSince ?? turn.TrustedNow });
        }

        turn.Trouble(error.ToLowerInvariant(), error switch
        {
            ServerErrors.CloneSuspect => "The server saw two machines with this till's identity. An operator decides "
                + "at the server; grace ends 24 h after the first refusal.",
            ServerErrors.DowngradeRefused => "The server does not accept this till without its TPM. Repair the TPM, or "
                + "an operator approves it: license-server agents approve-recovery ID --software --days N.",
            ServerErrors.CertificateExpired => "The till's certificate has expired. The agent asks the server for "
                + "another.",
            ServerErrors.AgentUnknown => "The server does not know this till. Licenses work until grace ends; "
                + "enrol it again or restore the server.",
            _ => throw new InvariantBroken($"{error} is not one to wait for an operator."),
        });
    }

    private static void Hold(Turn turn, RequestPlan plan, RefusalAnswer refusal)
    {
        Note(turn, refusal.Error);
        if (refusal.Error == ServerErrors.CertificateExpired)
        {
            Certificates.Refused(turn);
        }

        if (plan.Software)
        {
            SoftwareFallback.Hold(turn);
        }

        Wait(turn, plan, refusal.Error, 0);
        Rotation.HoldFor(turn, Timing.RefusedRetryMs);
    }

    private static void Wait(Turn turn, RequestPlan plan, string error, long ms)
    {
        if (plan is RequestPlan.RenewLicense renew)
        {
            Renewals.Failed(turn, renew, error.ToLowerInvariant());
            return;
        }

        if (plan is RequestPlan.CheckIn)
        {
            CheckIns.Failed(turn, error.ToLowerInvariant(), ms, patienceMs: 0);
            return;
        }

        if (plan is RequestPlan.RenewCertificate)
        {
            Certificates.Failed(turn, ms);
            return;
        }

        Rotation.AttemptFailed(turn, error.ToLowerInvariant());
        Rotation.HoldFor(turn, ms);
    }
}
