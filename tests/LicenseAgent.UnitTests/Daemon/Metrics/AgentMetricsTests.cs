using System.Text.RegularExpressions;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Metrics;

public sealed partial class AgentMetricsTests
{
    private readonly AgentMetrics _metrics = new(CounterState.Empty, "1.2.3");

    [Theory]
    [InlineData("secrets_active", "gauge")]
    [InlineData("secrets_grace", "gauge")]
    [InlineData("rotations_total", "counter")]
    [InlineData("rotations_failed", "counter")]
    [InlineData("validations_total", "counter")]
    [InlineData("validations_failed", "counter")]
    [InlineData("degraded_mode", "gauge")]
    [InlineData("tpm_available", "gauge")]
    [InlineData("last_rotation", "gauge")]
    public void Every_name_of_the_requirements_is_there_from_the_start(string name, string type)
    {
        string text = _metrics.Render();
        Assert.Contains($"\n# TYPE license_agent_{name} {type}\nlicense_agent_{name} 0\n", "\n" + text,
            StringComparison.Ordinal);
    }

    [Fact]
    public void The_families_are_exactly_the_promised_ones_in_order()
    {
        string[] names = [.. TypeLine().Matches(Full().Render()).Select(m => m.Groups[1].Value)];
        Assert.Equal(
            [
                "audit_chain_ok", "audit_seq", "build_info", "client_cert_expiry_timestamp_seconds",
                "clock_skew_seconds", "degraded_mode", "grace_until_timestamp_seconds", "last_rotation",
                "last_rotation_timestamp_seconds", "memory_protection", "mode", "rotation_consecutive_failures",
                "rotation_failures_total",
                "rotations_failed", "rotations_total", "secret_expiry_timestamp_seconds", "secrets_active",
                "secrets_grace", "software_fallback", "tpm_available", "tpm_operation_duration_seconds",
                "unauthorized_access_total", "validation_duration_seconds", "validation_failures_total",
                "validations_failed", "validations_total",
            ],
            names);
    }

    [Fact]
    public void Whatever_changes_the_text_changes_the_mark()
    {
        Action[] changes =
        [
            () => _metrics.Validated("VALID", valid: true, TimeSpan.FromMilliseconds(1)),
            () => _metrics.Validated("REVOKED", valid: false, TimeSpan.FromMilliseconds(1)),
            _metrics.AccessDenied,
            () => _metrics.RotationEnded(succeeded: true),
            () => _metrics.RotationEnded(succeeded: false),
            () => _metrics.TpmOperationEnded("sign", TimeSpan.FromMilliseconds(90)),
            () => _metrics.TpmOperationEnded("unwrap", TimeSpan.Zero),
            () => _metrics.SetProtections([new Protection("locked", false, "is not", "do")]),
            () => _metrics.Set(AgentGauges.Starting with { TpmAvailable = true }),
            () => _metrics.Follow(() => new MovingGauges(1, TimeSpan.Zero)),
            () => _metrics.Follow(() => new MovingGauges(1, TimeSpan.FromSeconds(1))),
            () => _metrics.Restore(new CounterState(0, 0, 0, new Dictionary<string, long> { ["EXPIRED"] = 1 }, 0)),
        ];
        foreach (Action change in changes)
        {
            (MetricsMark mark, string text) = (_metrics.Mark(), _metrics.Render());
            change();
            Assert.NotEqual(text, _metrics.Render());
            Assert.NotEqual(mark, _metrics.Mark());
        }
    }

    [Fact]
    public void While_nothing_changes_the_mark_is_the_same() => Assert.Equal(_metrics.Mark(), _metrics.Mark());

    [Fact]
    public void Every_line_is_of_the_text_format()
    {
        string text = Full().Render();
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        Assert.All(text[..^1].Split('\n'), line => Assert.Matches(FormatLine(), line));
    }

    [Fact]
    public void Gauges_show_what_the_loop_set()
    {
        string text = Full().Render();
        Assert.Equal("1", Value(text, "degraded_mode"));
        Assert.Equal("1", Value(text, "mode{mode=\"DEGRADED\"}"));
        Assert.Equal("0", Value(text, "mode{mode=\"NORMAL\"}"));
        Assert.Equal("8", Value(text, "secrets_grace"));
        Assert.Equal("1700000000.5", Value(text, "last_rotation"));
        Assert.Equal("1700000001", Value(text, "secret_expiry_timestamp_seconds"));
        Assert.Equal("42", Value(text, "audit_seq"));
        Assert.Equal("-1.5", Value(text, "clock_skew_seconds"));
        Assert.Equal("1", Value(text, "build_info{version=\"1.2.3\"}"));
    }

    [Fact]
    public void Times_that_are_not_known_are_left_out()
    {
        string text = _metrics.Render();
        Assert.DoesNotContain("expiry", text, StringComparison.Ordinal);
        Assert.DoesNotContain("grace_until", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_refused_validation_counts_in_the_total_and_under_its_reason()
    {
        _metrics.Validated(ValidationReasons.Valid, true, TimeSpan.FromMicroseconds(40));
        _metrics.Validated(ValidationReasons.Revoked, false, TimeSpan.FromMilliseconds(2));
        string text = _metrics.Render();
        Assert.Equal("2", Value(text, "validations_total"));
        Assert.Equal("1", Value(text, "validations_failed"));
        Assert.Equal("1", Value(text, "validation_failures_total{reason=\"REVOKED\"}"));
        Assert.Equal("0", Value(text, "validation_failures_total{reason=\"LOCKED\"}"));
        Assert.DoesNotContain("reason=\"VALID\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Buckets_of_a_duration_are_cumulative_and_include_their_bound()
    {
        foreach (int microseconds in (int[])[25, 26, 50, 2_500, 300_000])
            _metrics.Validated(ValidationReasons.Valid, true, TimeSpan.FromMicroseconds(microseconds));
        string text = _metrics.Render();
        const string Name = "validation_duration_seconds";
        Assert.Equal("1", Value(text, Name + "_bucket{le=\"2.5E-05\"}"));
        Assert.Equal("3", Value(text, Name + "_bucket{le=\"5E-05\"}"));
        Assert.Equal("4", Value(text, Name + "_bucket{le=\"0.25\"}"));
        Assert.Equal("5", Value(text, Name + "_bucket{le=\"+Inf\"}"));
        Assert.Equal("5", Value(text, Name + "_count"));
        Assert.Equal("0.302601", Value(text, Name + "_sum"));
    }

    [Fact]
    public void TPM_operations_are_measured_by_name()
    {
        _metrics.TpmOperationEnded("sign", TimeSpan.FromMilliseconds(60));
        _metrics.TpmOperationEnded("unwrap", TimeSpan.FromMilliseconds(700));
        string text = _metrics.Render();
        Assert.Equal("1", Value(text, "tpm_operation_duration_seconds_bucket{operation=\"sign\",le=\"0.1\"}"));
        Assert.Equal("0", Value(text, "tpm_operation_duration_seconds_bucket{operation=\"unwrap\",le=\"0.5\"}"));
    }

    [Fact]
    public void Counters_go_on_after_a_restart()
    {
        _metrics.RotationEnded(true);
        _metrics.RotationEnded(false);
        _metrics.AccessDenied();
        _metrics.Validated(ValidationReasons.Expired, false, TimeSpan.Zero);
        var next = new AgentMetrics(_metrics.Counters(), "1.2.4");
        next.RotationEnded(false);
        next.Validated(ValidationReasons.Expired, false, TimeSpan.Zero);
        string text = next.Render();
        Assert.Equal("3", Value(text, "rotations_total"));
        Assert.Equal("2", Value(text, "rotations_failed"));
        Assert.Equal("2", Value(text, "rotation_failures_total"));
        Assert.Equal("1", Value(text, "unauthorized_access_total"));
        Assert.Equal("2", Value(text, "validation_failures_total{reason=\"EXPIRED\"}"));
    }

    [Fact]
    public async Task Nothing_is_lost_when_many_threads_count()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 5_000; i++)
                _metrics.Validated(ValidationReasons.Locked, false, TimeSpan.FromMicroseconds(10));
        })));
        string text = _metrics.Render();
        Assert.Equal("40000", Value(text, "validations_failed"));
        Assert.Equal("40000", Value(text, "validation_duration_seconds_count"));
        Assert.Equal("0.4", Value(text, "validation_duration_seconds_sum"));
    }

    private AgentMetrics Full()
    {
        _metrics.TpmOperationEnded("sign", TimeSpan.FromMilliseconds(1));
        _metrics.Follow(() => new MovingGauges(42, TimeSpan.FromSeconds(-1.5)));
        _metrics.Set(new AgentGauges(
            AgentMode.Degraded, 1, 8, true, new UtcTime(1_700_000_000_500), new UtcTime(1_700_000_001_000),
            new UtcTime(1_700_000_002_000), new UtcTime(1_700_000_003_000), 4, false));
        return _metrics;
    }

    private static string Value(string text, string sample)
    {
        string start = $"license_agent_{sample} ";
        return Assert.Single(text.Split('\n'), line => line.StartsWith(start, StringComparison.Ordinal))[start.Length..];
    }

    [GeneratedRegex("^# TYPE license_agent_([a-z_]+) ", RegexOptions.Multiline)]
    private static partial Regex TypeLine();

    [GeneratedRegex("""
        ^(# HELP [a-z_]+ .+|# TYPE [a-z_]+ (gauge|counter|histogram)|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.E+-]+)$
        """)]
    private static partial Regex FormatLine();
}
