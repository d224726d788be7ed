using System.Globalization;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Cli.Doctor;

/// <summary>What the agent's own answers show. An alert carries fact and remedy itself and is not said twice.</summary>
internal static class AgentChecks
{
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan CertificateWarning = TimeSpan.FromDays(14);

    public static IEnumerable<Check> Of(StatusResponse status, TpmResponse tpm, string metrics, UtcTime wallClock)
    {
        yield return Mode(status);
        if (!status.Alerts.Any(alert => alert.Id == "tpm_unavailable"))
            yield return Tpm(tpm);
        yield return Lockout(tpm);
        if (tpm.OwnerAuthSet is { } owned)
            yield return Owner(owned);
        yield return Fallback(tpm);
        yield return Clock(status.TrustedNow, wallClock);
        yield return Certificate(metrics, status.TrustedNow);
        yield return AuditLog(metrics);
        foreach (AlertView alert in status.Alerts)
        {
            Level level = alert.Severity is "error" or "critical" ? Level.Error : Level.Warning;
            yield return new Check(alert.Id, level, alert.Detail);
        }
    }

    private static Check Mode(StatusResponse status)
    {
        string reason = status.LockReason is null ? status.Mode : $"{status.Mode} ({status.LockReason})";
        Level level = status.Mode switch
        {
            "NORMAL" => Level.Ok,
            "OFFLINE" or "DEGRADED" => Level.Warning,
            _ => Level.Error,
        };
        return new Check("mode", level, $"The mode is {reason}.", Remedies.OfMode(status.Mode, status.LockReason));
    }

    private static Check Tpm(TpmResponse tpm) => tpm.State switch
    {
        "ok" => new Check(
            "tpm", Level.Ok,
            $"{tpm.Manufacturer} {tpm.Firmware} at {tpm.Device} answers; generation {tpm.Generation}."),
        "replaced" => new Check(
            "tpm", Level.Error, tpm.LastError ?? "The TPM is another one.", Remedies.OfMode("LOCKED", "tpm_replaced")),
        _ => new Check(
            "tpm", Level.Error, tpm.LastError ?? $"The TPM at {tpm.Device} does not serve ({tpm.State}).",
            Remedies.OfMode("LOCKED", "tpm_unavailable")),
    };

    private static Check Lockout(TpmResponse tpm) => tpm.LockoutCounter is > 0
        ? new Check(
            "tpm_lockout", Level.Warning, $"The TPM counts {tpm.LockoutCounter} failed authorisations.",
            "The agent's keys do not count there, so something else guesses or loses power. Find it; then "
            + "tpm2_dictionarylockout --clear-lockout.")
        : new Check("tpm_lockout", Level.Ok, "The TPM's lockout counter is 0.");

    private static Check Owner(bool hasPassword) => hasPassword
        ? new Check("tpm_owner", Level.Ok, "The TPM's owner hierarchy has a password.")
        : new Check(
            "tpm_owner", Level.Warning,
            "The TPM's owner password is empty: who gets at the TPM can delete the agent's keys and indices.",
            "tpm2_changeauth -c owner PASSWORD; keep it for enroll --replace --owner-auth-file.");

    /// <summary>A choice of the configuration, and so no finding; but it is said.</summary>
    private static Check Fallback(TpmResponse tpm) => new(
        "tpm_fallback", Level.Ok,
        tpm.Fallback == "off"
            ? "Without its TPM this till gets no new secret (tpm.fallback is off)."
            : "tpm.fallback is on_loss: against extraction this till is as strong as its fallback_key_file is kept "
                + "apart.");

    private static Check Clock(UtcTime trusted, UtcTime wall)
    {
        TimeSpan ahead = wall - trusted;
        return ahead.Duration() <= ClockTolerance
            ? new Check("clock", Level.Ok, "This machine's clock agrees with the agent's trusted now.")
            : new Check(
                "clock", Level.Warning,
                $"This machine's clock is {TimeText.Length(ahead.Duration())} "
                + (ahead > TimeSpan.Zero ? "ahead of" : "behind") + " the agent's trusted now.",
                "Set the clock (timedatectl set-ntp true), or let the agent reach its server.");
    }

    private static Check Certificate(string metrics, UtcTime now)
    {
        const string name = "license_agent_client_cert_expiry_timestamp_seconds";
        if (Prometheus.Find(metrics, name) is not { } seconds)
            return new Check("certificate", Level.Warning, "The agent has no certificate yet.", "Enrol it.");
        TimeSpan left = new UtcTime((long)(seconds * 1000)) - now;
        string ends = left > TimeSpan.Zero ? $"ends in {TimeText.Length(left)}" : "has ended";
        return left > CertificateWarning
            ? new Check("certificate", Level.Ok, $"The agent's certificate {ends}.")
            : new Check(
                "certificate", left > TimeSpan.Zero ? Level.Warning : Level.Error, $"The agent's certificate {ends}.",
                "The agent renews it with the license server; see that it reaches it.");
    }

    private static Check AuditLog(string metrics) =>
        Prometheus.Find(metrics, "license_agent_audit_chain_ok") is 0
            ? new Check(
                "audit", Level.Error, "The audit log is not being written, or its chain is broken.",
                "Free its disk; then license-agent-cli audit verify.")
            : new Check("audit", Level.Ok, string.Create(
                CultureInfo.InvariantCulture,
                $"The audit log is at record {Prometheus.Find(metrics, "license_agent_audit_seq") ?? 0}."));
}
