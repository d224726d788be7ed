using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Protocol.Encoding;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Alerting;

/// <summary>
/// Tells of alerts that were raised or cleared by a step: the operational log at the alert's priority, and the webhook
/// where there is one. The audit record is an effect of the step itself. Called by the loop.
/// </summary>
internal sealed class AlertReports(AlertOutbox? outbox, ILogger logger)
{
    public void Changed(AgentState before, AgentState after, UtcTime now)
    {
        if (ReferenceEquals(before.Alerts, after.Alerts))
            return;
        foreach ((string id, Alert alert) in after.Alerts.Where(a => !before.Alerts.ContainsKey(a.Key)))
        {
            AgentEvents.AlertRaised(logger, LevelOf(alert), id, alert.Detail);
            Send(AlertNotice.Raised, id, alert, after, now);
        }
        foreach ((string id, Alert alert) in before.Alerts.Where(a => !after.Alerts.ContainsKey(a.Key)))
        {
            AgentEvents.AlertCleared(logger, id);
            Send(AlertNotice.Cleared, id, alert, after, now);
        }
    }

    private void Send(string what, string id, Alert alert, AgentState state, UtcTime now) => outbox?.Add(
        new AlertNotice(
            AlertNotice.CurrentFormat, "", what, id, alert.Severity, alert.Detail, state.Identity?.AgentId ?? "",
            alert.Since, now, 0));

    private static LogLevel LevelOf(Alert alert) => alert.Severity switch
    {
        "critical" => LogLevel.Critical,
        "error" => LogLevel.Error,
        _ => LogLevel.Warning,
    };
}
