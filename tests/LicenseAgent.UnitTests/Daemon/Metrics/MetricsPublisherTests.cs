using System.Text;
using LicenseAgent.Daemon.Metrics;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Metrics;

public sealed class MetricsPublisherTests : IDisposable
{
    private readonly ManualTime _time = new();
    private readonly List<string> _written = [];
    private readonly AgentMetrics _metrics = new(CounterState.Empty, "1");
    private readonly MetricsPublisher _publisher;

    public MetricsPublisherTests()
    {
        _publisher = new MetricsPublisher(_metrics, _time, text => _written.Add(Encoding.UTF8.GetString(text)));
        _publisher.PublishChanges();
    }

    public void Dispose() => _publisher.Dispose();

    [Fact]
    public void A_changed_gauge_is_written_at_once()
    {
        _publisher.Set(AgentGauges.Starting with { TpmAvailable = true });
        Assert.Equal(2, _written.Count);
        Assert.Contains("license_agent_tpm_available 1\n", _written[1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_gauges_again_are_not_written()
    {
        _publisher.Set(AgentGauges.Starting with { });
        Assert.Single(_written);
    }

    [Fact]
    public void A_counter_waits_for_the_next_interval()
    {
        _metrics.AccessDenied();
        _time.Advance(MetricsPublisher.Interval - TimeSpan.FromMilliseconds(1));
        Assert.Single(_written);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(2, _written.Count);
    }

    [Fact]
    public void Nothing_changed_is_nothing_written()
    {
        _time.Advance(10 * MetricsPublisher.Interval);
        Assert.Single(_written);
    }

    [Fact]
    public void What_moves_by_itself_is_looked_at_after_each_step_and_written_an_interval_later()
    {
        MovingGauges now = new(1, TimeSpan.Zero);
        _metrics.Follow(() => now);
        now = new(7, TimeSpan.FromSeconds(-3));
        _publisher.Set(AgentGauges.Starting);
        Assert.Single(_written);
        _time.Advance(MetricsPublisher.Interval);
        Assert.Contains("license_agent_audit_seq 7\n", _written[^1], StringComparison.Ordinal);
        Assert.Contains("license_agent_clock_skew_seconds -3\n", _written[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Two_clocks_read_one_after_the_other_are_no_change()
    {
        MovingGauges now = new(1, TimeSpan.FromSeconds(0.05));
        _metrics.Follow(() => now);
        _publisher.Set(AgentGauges.Starting);
        _time.Advance(MetricsPublisher.Interval);
        Assert.Equal(2, _written.Count);
        now = new(1, TimeSpan.FromSeconds(0.051));
        _publisher.Set(AgentGauges.Starting);
        _time.Advance(MetricsPublisher.Interval);
        Assert.Equal(2, _written.Count);
    }

    [Fact]
    public void While_nothing_changes_no_timer_runs()
    {
        Assert.False(_time.TimerIsArmed);
        _metrics.AccessDenied();
        Assert.True(_time.TimerIsArmed);
        _metrics.AccessDenied();
        _time.Advance(MetricsPublisher.Interval);
        Assert.Equal(2, _written.Count);
        Assert.False(_time.TimerIsArmed);
    }

    [Fact]
    public void What_is_counted_while_the_text_is_written_is_written_after_another_interval()
    {
        bool again = true;
        using MetricsPublisher publisher = new(_metrics, _time, text =>
        {
            _written.Add(Encoding.UTF8.GetString(text));
            if (again)
            {
                again = false;
                _metrics.AccessDenied();
            }
        });
        _metrics.AccessDenied();
        _time.Advance(MetricsPublisher.Interval);
        Assert.Contains("license_agent_unauthorized_access_total 1\n", _written[^1], StringComparison.Ordinal);
        _time.Advance(MetricsPublisher.Interval);
        Assert.Contains("license_agent_unauthorized_access_total 2\n", _written[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void After_disposal_nothing_is_written()
    {
        _publisher.Dispose();
        _publisher.Set(AgentGauges.Starting with { TpmAvailable = true });
        _time.Advance(MetricsPublisher.Interval);
        Assert.Single(_written);
    }
}
