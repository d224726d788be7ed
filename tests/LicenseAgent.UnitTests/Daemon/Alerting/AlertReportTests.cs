using LicenseAgent.Core;
using LicenseAgent.Daemon.Alerting;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.UnitTests.Core;
using Microsoft.Extensions.Logging;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Alerting;

/// <summary>What the daemon notices by itself, and what is said of alerts that a step raised or cleared.</summary>
public sealed class AlertReportTests
{
    private static readonly UtcTime Now = new(1_800_000_000_000);

    [Fact]
    public void A_log_that_cannot_be_written_is_a_trouble_once_and_over_once()
    {
        List<AgentEvent> posted = [];
        var watch = new TroubleWatch(posted.Add);
        foreach (string? failing in (string?[])[null, "No space left", "No space left", null, null])
            watch.Look(failing, null, Now);
        Assert.Equal([true, false], Details(posted, TroubleWatch.AuditGap).Select(d => d is not null));
    }

    [Theory]
    [InlineData(14 * 86_400, 0)]
    [InlineData((14 * 86_400) - 1, 1)]
    [InlineData(-1, 1)]
    public void A_certificate_that_ends_in_less_than_14_days_is_a_trouble(int secondsLeft, int troubles)
    {
        List<AgentEvent> posted = [];
        var watch = new TroubleWatch(posted.Add);
        watch.Look(null, Now + TimeSpan.FromSeconds(secondsLeft), Now);
        watch.Look(null, Now + TimeSpan.FromSeconds(secondsLeft), Now);
        Assert.Equal(troubles, Details(posted, TroubleWatch.CertificateExpiring).Count());
    }

    [Fact]
    public void A_certificate_that_was_renewed_ends_the_trouble_once()
    {
        List<AgentEvent> posted = [];
        var watch = new TroubleWatch(posted.Add);
        watch.Look(null, Now + TimeSpan.FromDays(1), Now);
        watch.Look(null, Now + TimeSpan.FromDays(365), Now);
        watch.Look(null, Now + TimeSpan.FromDays(365), Now);
        Assert.Equal([true, false], Details(posted, TroubleWatch.CertificateExpiring).Select(d => d is not null));
    }

    [Theory]
    [InlineData("warning", LogLevel.Warning)]
    [InlineData("error", LogLevel.Error)]
    [InlineData("critical", LogLevel.Critical)]
    public void A_raised_alert_is_logged_at_its_priority_and_a_cleared_one_as_information(
        string severity, LogLevel level)
    {
        var log = new Levels();
        var reports = new AlertReports(null, log);
        AgentState without = CoreDriver.Enrolled(Given.Bound(Given.Active(1))).State;
        AgentState with = without with
        {
            Alerts = without.Alerts.Add("some_alert", new Alert(severity, Now, "The fact. The remedy.")),
        };
        reports.Changed(without, with, Now);
        reports.Changed(with, with with { TpmDetail = "x" }, Now);
        reports.Changed(with, without, Now);
        Assert.Equal([(level, "alert_raised"), (LogLevel.Information, "alert_cleared")], log.Said);
    }

    private static IEnumerable<string?> Details(List<AgentEvent> posted, string id) =>
        posted.OfType<AgentEvent.TroubleNoticed>().Where(t => t.Id == id).Select(t => t.Detail);

    private sealed class Levels : ILogger
    {
        public List<(LogLevel Level, string? Event)> Said { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Said.Add((logLevel, eventId.Name));
    }
}
