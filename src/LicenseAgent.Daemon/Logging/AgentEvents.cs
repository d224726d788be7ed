using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Logging;

/// <summary>
/// The operational log: every event has a number and a name that stay, past tense, and says nothing secret. Types that
/// hold secret bytes have no text, so there is nothing of them to log by accident.
/// </summary>
internal static partial class AgentEvents
{
    [LoggerMessage(1, LogLevel.Information, "agent_started: version {Version}, configuration {Config}",
        EventName = "agent_started")]
    public static partial void Started(ILogger logger, string version, string config);

    [LoggerMessage(2, LogLevel.Information, "agent_ready: mode {Mode} {Reason}", EventName = "agent_ready")]
    public static partial void Ready(ILogger logger, string mode, string reason);

    [LoggerMessage(3, LogLevel.Information, "agent_stopped", EventName = "agent_stopped")]
    public static partial void Stopped(ILogger logger);

    [LoggerMessage(4, LogLevel.Critical, "agent_failed: {Detail}", EventName = "agent_failed")]
    public static partial void Failed(ILogger logger, Exception exception, string detail);

    [LoggerMessage(5, LogLevel.Error,
        "instance_refused: another license-agent holds {State}; stop it first", EventName = "instance_refused")]
    public static partial void AnotherInstance(ILogger logger, string state);

    [LoggerMessage(20, LogLevel.Information, "config_reloaded: {Changed}", EventName = "config_reloaded")]
    public static partial void Reloaded(ILogger logger, string changed);

    [LoggerMessage(21, LogLevel.Error, "config_reload_refused: {Detail}", EventName = "config_reload_refused")]
    public static partial void ReloadRefused(ILogger logger, string detail);

    [LoggerMessage(50, LogLevel.Warning, "protection_failed: {Name}: {Fact}; {Remedy}",
        EventName = "protection_failed")]
    public static partial void ProtectionFailed(ILogger logger, string name, string fact, string remedy);

    [LoggerMessage(51, LogLevel.Critical,
        "start_refused: security.strict is set and {Missing} does not hold; do as the warnings above say, or unset it",
        EventName = "start_refused")]
    public static partial void StartRefused(ILogger logger, string missing);

    [LoggerMessage(52, LogLevel.Error,
        "watchdog_silenced: {Sign} showed no life; the service manager is not told that the agent lives",
        EventName = "watchdog_silenced")]
    public static partial void WatchdogSilenced(ILogger logger, string sign);

    [LoggerMessage(10, LogLevel.Information, "{What} ({Op}): {Outcome}", EventName = "transition_recorded")]
    public static partial void Happened(ILogger logger, string what, string op, string outcome);

    [LoggerMessage(11, LogLevel.Warning, "effect_failed: {Effect}: {Reason}: {Detail}", EventName = "effect_failed")]
    public static partial void EffectFailed(ILogger logger, string effect, string reason, string detail);

    [LoggerMessage(12, LogLevel.Warning, "run_file_damaged: run.json could not be read and was begun anew",
        EventName = "run_file_damaged")]
    public static partial void RunFileDamaged(ILogger logger);

    [LoggerMessage(14, LogLevel.Warning,
        "fallback_enabled: tpm.fallback = \"on_loss\" weakens the secret to the protection of the key file once the "
        + "TPM is lost", EventName = "fallback_enabled")]
    public static partial void FallbackIsOn(ILogger logger);

    [LoggerMessage(13, LogLevel.Warning, "audit_tail_found: {Torn} bytes torn, {Damaged} lines damaged, clean {Clean}",
        EventName = "audit_tail_found")]
    public static partial void AuditTailFound(ILogger logger, long torn, int damaged, bool clean);

    [LoggerMessage(EventId = 40, EventName = "alert_raised", Message = "alert_raised: {Alert}: {Detail}")]
    public static partial void AlertRaised(ILogger logger, LogLevel level, string alert, string detail);

    [LoggerMessage(41, LogLevel.Information, "alert_cleared: {Alert}", EventName = "alert_cleared")]
    public static partial void AlertCleared(ILogger logger, string alert);

    [LoggerMessage(42, LogLevel.Warning, "webhook_failed: {Reason}; alerts wait and are sent again",
        EventName = "webhook_failed")]
    public static partial void WebhookFailed(ILogger logger, string reason);

    [LoggerMessage(43, LogLevel.Error, "webhook_overflowed: alerts that could not be sent are given up, first {Alert}; "
        + "check the receiver at alerts.webhook_url", EventName = "webhook_overflowed")]
    public static partial void WebhookOverflowed(ILogger logger, string alert);
}
