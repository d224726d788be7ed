using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>
/// Licenses that applications want wrapped anew by the server, because their version is gone here. Each is tried once:
/// an application waits for the answer and asks again when it likes.
/// </summary>
internal static class Renewals
{
    private const int MaxWaiting = 16;

    public static void OnAsked(Turn turn, AgentEvent.RenewalAsked e)
    {
        AgentState state = turn.State;
        if (WhyNot(state) is { } why)
        {
            turn.Emit(new AgentEffect.CompleteRenewal(e.Ticket, null, why, null));
            return;
        }

        turn.State = state with { Renewals = state.Renewals.Add(new LicenseRenewal(e.Ticket, e.Token)) };
    }

    public static bool TrySend(Turn turn)
    {
        if (turn.State.Renewals is not [var first, ..] || turn.State.Tpm != TpmHealth.Ok)
        {
            return false;
        }

        turn.Send(new RequestPlan.RenewLicense(turn.Now.NewRequestId(turn.TrustedNow, 10), first));
        return true;
    }

    public static void OnRenewed(Turn turn, RequestPlan.RenewLicense plan, LicenseRenewalAnswer answer) =>
        Complete(turn, plan, answer.LicenseToken, null, null);

    /// <param name="why"><c>refused</c> where the server said no to this license.</param>
    public static void Failed(Turn turn, RequestPlan.RenewLicense plan, string why, string? detail = null) =>
        Complete(turn, plan, null, why, detail);

    /// <summary>Nobody waits for the server while nothing can be sent to it.</summary>
    public static void AnswerThoseThatCannotSucceed(Turn turn)
    {
        if (turn.State.Renewals.Length > 0 && WhyNotNow(turn.State) is { } why)
        {
            foreach (LicenseRenewal waiting in turn.State.Renewals)
            {
                turn.Emit(new AgentEffect.CompleteRenewal(waiting.Ticket, null, why, null));
            }

            turn.State = turn.State with { Renewals = [] };
        }
    }

    private static string? WhyNot(AgentState state) =>
        WhyNotNow(state) ?? (state.Renewals.Length >= MaxWaiting ? "too_many_waiting" : null);

    private static string? WhyNotNow(AgentState state) => state switch
    {
        { Identity: null } => "not_enrolled",
        { Tpm: not TpmHealth.Ok } => "tpm_unavailable",
        { Lock: { } locked } => ModeText.Of(locked),
        _ when Views.IsSuspended(state) => "suspended",
        _ => null,
    };

    private static void Complete(
        Turn turn, RequestPlan.RenewLicense plan, string? token, string? why, string? detail)
    {
        // It may have been answered already, when the TPM went away meanwhile.
        if (turn.State.Renewals.Contains(plan.Asked))
        {
            turn.State = turn.State with { Renewals = turn.State.Renewals.Remove(plan.Asked) };
            turn.Emit(new AgentEffect.CompleteRenewal(plan.Asked.Ticket, token, why, detail));
        }
    }
}
