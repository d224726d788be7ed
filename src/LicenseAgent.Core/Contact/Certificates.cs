using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>
/// The client certificate: renewed when two thirds of its life are over, or when the server says that all of it is. A
/// renewal takes a new request id each attempt: signing again is answering again.
/// </summary>
internal static class Certificates
{
    private static readonly TimeSpan ExpiresSoon = TimeSpan.FromDays(14);

    public static void Note(Turn turn, AgentEvent happened)
    {
        if (happened.Certificate is { } life)
        {
            turn.State = turn.State with { Certificate = life };
        }
    }

    /// <summary>
    /// Before anything about secrets: with an expired certificate nothing else is answered, the repair of a lost state
    /// included.
    /// </summary>
    public static bool TryRenew(Turn turn)
    {
        AgentState state = turn.State;
        bool due = state.CertificateOwed
            || (state.Certificate is { } life && turn.TrustedNow >= RenewalOf(life));
        bool hasState = state.Bound is not null || Rotation.IsRepairable(state.Lock);
        if (!due || state.Identity is null || !hasState || state.Tpm != TpmHealth.Ok
            || Views.IsSuspended(state) || !state.CertificateGate.IsOpen(turn.Now))
        {
            return false;
        }

        turn.Send(new RequestPlan.RenewCertificate(turn.Now.NewRequestId(turn.TrustedNow, 11)));
        return true;
    }

    /// <summary>The server told that the certificate's time is over: it is asked for another at once.</summary>
    public static void Refused(Turn turn) => turn.State = turn.State with
    {
        CertificateOwed = true,
        CertificateGate = turn.State.CertificateOwed ? turn.State.CertificateGate : default,
    };

    public static void OnAnswered(Turn turn, RequestPlan.RenewCertificate plan, RenewCertificateAnswer answer)
    {
        turn.Emit(new AgentEffect.SaveCertificate([.. answer.CertificateChain]));
        turn.Audit("certificate_renewed", plan.RequestId, "ok", durable: true,
            ("not_after", turn.State.Certificate?.NotAfter.ToString() ?? ""));
        turn.SaveRun();
        turn.TroubleOver("certificate_expired");

        // Rotation waited for the certificate, not for the server.
        turn.State = turn.State with { CertificateOwed = false, CertificateGate = default, RotationGate = default };
    }

    /// <summary>The certificate is not on the disk: it is asked for again, over the same key.</summary>
    public static void OnLost(Turn turn) => turn.State = turn.State with
    {
        CertificateOwed = true,
        CertificateGate = turn.Backoff(turn.State.CertificateGate, 12),
    };

    public static void Failed(Turn turn, long atLeastMs)
    {
        RetryGate gate = turn.Backoff(turn.State.CertificateGate, 12);
        turn.State = turn.State with
        {
            CertificateGate = gate with
            {
                NotBeforeBootMs = Math.Max(gate.NotBeforeBootMs, turn.Now.BootMs + atLeastMs),
            },
        };
    }

    /// <summary>When the alert is due, and what it says.</summary>
    public static string? Expiring(AgentState state, UtcTime now) =>
        state.Certificate is { } life && life.NotAfter - now < ExpiresSoon
            ? $"The certificate this till shows to the server ends {life.NotAfter}. It is renewed at the next contact; "
                + "check the way to the license server."
            : null;

    private static UtcTime RenewalOf(CertificateLife life) =>
        life.NotBefore + TimeSpan.FromTicks((life.NotAfter - life.NotBefore).Ticks / 3 * 2);
}
