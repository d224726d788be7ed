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
        if (Changes(ref _auditGap, auditFailing is not null))
        {
            Post(AuditGap, _auditGap ? $"The audit log cannot be written ({auditFailing}). Make room on its disk or "
                + "repair it; the record of the gap is written with the first that can be." : null);
        }
        if (Changes(ref _certificateExpiring, certificateExpiry - trustedNow < CertificateWarning))
        {
            Post(CertificateExpiring, _certificateExpiring ? $"The agent's certificate ends at {certificateExpiry}. "
                + "Check the way to the license server, which renews it; after the end enrol the till again." : null);
        }
    }

    private static bool Changes(ref bool known, bool holds)
    {
        bool changes = known != holds;
        known = holds;
        return changes;
    }

    private void Post(string id, string? detail) => post(new AgentEvent.TroubleNoticed(id, detail));
}
