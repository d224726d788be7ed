using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.Daemon.Alerting;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.UnitTests.Daemon.Audit;
using Microsoft.Extensions.Logging;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Alerting;

/// <summary>Alerts on their way to a receiver that fails, hangs and recovers; time and work turned by hand.</summary>
public sealed class AlertOutboxTests : IDisposable
{
    private static readonly byte[] Secret = "a secret of the receiver"u8.ToArray();
    private static readonly AlertsConfig Config = new("https://one.example.com/", Secret);
    private static readonly UtcTime Now = new(1_800_000_000_000);

    private readonly Receiver _receiver = new();
    private readonly HandTurned _hand = new();
    private readonly StandingClock _clock = new("boot-a", 0);
    private readonly Said _said = new();
    private readonly AlertOutbox _outbox;

    public AlertOutboxTests() => _outbox = new AlertOutbox(
        new OutboxPorts(_receiver, _hand, _clock, _hand, new Zeros(), _ => Now), Config, _said);

    public void Dispose() => _outbox.Dispose();

    [Fact]
    public void Notices_arrive_in_order_each_once()
    {
        Add("a");
        Add("b");
        _hand.RunAll();
        Assert.Equal(["a", "b"], _receiver.Alerts);
        Assert.False(_hand.TimerIsArmed);
    }

    [Fact]
    public void The_signature_is_over_time_and_body_under_the_shared_secret()
    {
        Add("a");
        _hand.RunAll();
        (byte[] body, string signature) = _receiver.Got[0];
        byte[] mac = HMACSHA256.HashData(Secret, (byte[])[.. "1800000000."u8, .. body]);
        Assert.Equal($"t=1800000000,v1={Convert.ToHexStringLower(mac)}", signature);
    }

    [Fact]
    public void The_body_is_this_and_never_the_secret()
    {
        Add("a");
        _hand.RunAll();
        const string Expected =
            """
            {"format":1,"id":"00000000000000000000000000000000","event":"alert_raised","alert":"a","severity":"warning",
            "detail":"The fact. The remedy.","agent_id":"pos-001","since":"2027-01-15T08:00:00.000Z",
            "time":"2027-01-15T08:00:00.000Z","dropped":0}
            """;
        Assert.Equal(Expected.ReplaceLineEndings(""), Encoding.UTF8.GetString(_receiver.Got[0].Body));
    }

    [Fact]
    public void A_receiver_that_fails_gets_the_same_notice_again_and_the_next_only_behind_it()
    {
        _receiver.Status = 500;
        Add("a");
        _hand.RunAll();
        Add("b");
        _hand.RunAll();
        Assert.Equal(["a"], _receiver.Alerts);
        _receiver.Status = 204;
        _hand.FireTimers();
        _hand.RunAll();
        Assert.Equal(["a", "a", "b"], _receiver.Alerts);
    }

    [Fact]
    public void A_receiver_that_does_not_answer_is_tried_again_later()
    {
        _receiver.Failure = new WebhookException("webhook_timeout", "it did not answer within 10 s");
        Add("a");
        _hand.RunAll();
        Assert.True(_hand.TimerIsArmed);
        _receiver.Failure = null;
        _hand.FireTimers();
        _hand.RunAll();
        Assert.Equal(["a", "a"], _receiver.Alerts);
    }

    [Fact]
    public void That_it_fails_is_logged_once_until_it_works_again()
    {
        _receiver.Status = 503;
        Add("a");
        for (int i = 0; i < 5; i++)
        {
            _hand.RunAll();
            _hand.FireTimers();
        }
        Assert.Equal(["webhook_failed"], _said.Events);
    }

    [Fact]
    public void One_more_than_wait_takes_the_place_of_the_oldest_and_is_counted_and_said_once()
    {
        _receiver.Status = 500;
        for (int i = 0; i < AlertOutbox.NoticesMax + 3; i++)
            Add($"alert_{i}");
        Assert.Equal(3, _outbox.Dropped);
        Assert.Equal(["webhook_overflowed"], _said.Events);
    }

    [Fact]
    public void The_next_notice_that_arrives_tells_how_many_did_not()
    {
        _receiver.Status = 500;
        for (int i = 0; i < AlertOutbox.NoticesMax + 3; i++)
            Add($"alert_{i}");
        _hand.RunAll();
        _receiver.Status = 200;
        _hand.FireTimers();
        _hand.RunAll();
        Assert.Equal([3, 3, 0], _receiver.Dropped.Take(3));
        Assert.Equal(0, _outbox.Dropped);
        Assert.Equal(AlertOutbox.NoticesMax + 1, _receiver.Got.Count);
    }

    [Fact]
    public void A_notice_older_than_a_day_is_given_up()
    {
        _receiver.Status = 500;
        Add("old");
        _hand.RunAll();
        _clock.BootMs += 24 * 3_600_000L;
        Add("new");
        _clock.BootMs += 1;
        _receiver.Status = 200;
        _hand.FireTimers();
        _hand.RunAll();
        Assert.Equal(["old", "new"], _receiver.Alerts);
        Assert.Equal(1, _receiver.Dropped[^1]);
    }

    [Fact]
    public void Another_receiver_gets_at_once_what_waits_signed_for_it()
    {
        _receiver.Status = 500;
        Add("a");
        _hand.RunAll();
        _receiver.Status = 204;
        byte[] secret = "another secret"u8.ToArray();
        _outbox.Use(new AlertsConfig("https://two.example.com/", secret));
        _hand.RunAll();
        Assert.Equal(["https://one.example.com/", "https://two.example.com/"], _receiver.Urls);
        (byte[] body, string signature) = _receiver.Got[1];
        byte[] mac = HMACSHA256.HashData(secret, (byte[])[.. "1800000000."u8, .. body]);
        Assert.EndsWith(Convert.ToHexStringLower(mac), signature, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_receiver_again_is_no_reason_to_try_before_the_back_off_is_over()
    {
        _receiver.Status = 500;
        Add("a");
        _hand.RunAll();
        _outbox.Use(Config with { WebhookSecret = [.. Config.WebhookSecret] });
        _hand.RunAll();
        Assert.Single(_receiver.Urls);
    }

    [Fact]
    public void Without_a_receiver_nothing_is_kept_and_one_given_later_gets_what_comes_then()
    {
        _receiver.Status = 500;
        Add("a");
        _hand.RunAll();
        _outbox.Use(AlertsConfig.None);
        _hand.RunAll();
        Add("b");
        _hand.RunAll();
        _receiver.Status = 204;
        _outbox.Use(Config);
        Add("c");
        _hand.RunAll();
        Assert.Equal(["a", "c"], _receiver.Alerts);
        Assert.Equal(0, _receiver.Dropped[^1]);
    }

    private void Add(string alert) => _outbox.Add(new AlertNotice(
        AlertNotice.CurrentFormat, "", AlertNotice.Raised, alert, "warning", "The fact. The remedy.", "pos-001", Now,
        Now, 0));

    private sealed class Receiver : IWebhook
    {
        public int Status { get; set; } = 200;

        public WebhookException? Failure { get; set; }

        public List<(byte[] Body, string Signature)> Got { get; } = [];

        public List<string> Urls { get; } = [];

        public IEnumerable<string> Alerts => Got.Select(g => Member(g.Body, "alert").GetString()!);

        public List<long> Dropped => [.. Got.Select(g => Member(g.Body, "dropped").GetInt64())];

        public Task<int> PostAsync(
            string url, ReadOnlyMemory<byte> body, string signature, TimeSpan deadline, CancellationToken cancel)
        {
            Urls.Add(url);
            Got.Add((body.ToArray(), signature));
            return Failure is null ? Task.FromResult(Status) : Task.FromException<int>(Failure);
        }

        private static JsonElement Member(byte[] body, string name) =>
            JsonDocument.Parse(body).RootElement.GetProperty(name);
    }

    private sealed class Zeros : IRandomness
    {
        public void Fill(Span<byte> destination) => destination.Clear();
    }

    private sealed class Said : ILogger
    {
        public List<string?> Events { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Events.Add(eventId.Name);
    }
}
