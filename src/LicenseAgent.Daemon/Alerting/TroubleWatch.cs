using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Alerting;

/// <summary>
/// Conditions of the daemon, not of the core's state, that are alerts. Looked at after every event, and the core hears
/// of a change only. Called by the loop.
/// </summary>
internal sealed class TroubleWatch(Action<AgentEvent> post)
{
    public const string AuditGap = "audit_gap";
    public const string CertificateExpiring = "certificate_expiring";

    private static readonly TimeSpan CertificateWarning = TimeSpan.FromDays(14);

    private bool _auditGap;
    private bool _certificateExpiring;

    public void Look(string? auditFailing, UtcTime? certificateExpiry, UtcTime trustedNow)
    {
        Change(ref _auditGap, auditFailing is not null, AuditGap,
            $"The audit log cannot be written ({auditFailing}). Make room on its disk or repair it; the record of the "
            + "gap is written with the first that can be.");
        Change(ref _certificateExpiring, certificateExpiry - trustedNow < CertificateWarning, CertificateExpiring,
            $"The agent's certificate ends at {certificateExpiry}. Check the way to the license server, which renews "
            + "it; after the end enrol the till again.");
    }

    private void Change(ref bool known, bool holds, string id, string detail)
    {
        if (known == holds)
            return;
        known = holds;
        post(new AgentEvent.TroubleNoticed(id, holds ? detail : null));
    }
}
