using System.Reflection;
using System.Text.Json;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Secrets;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Extensions.Logging;
using Serilog.Formatting;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Logging;

public sealed class LogLineTests
{
    [Theory]
    [InlineData("8:12345", true, LogStyle.Journal)]
    [InlineData("8:12345", false, LogStyle.Journal)]
    [InlineData("", true, LogStyle.Json)]
    [InlineData(null, true, LogStyle.Json)]
    [InlineData(null, false, LogStyle.Terminal)]
    internal void The_style_follows_from_where_stdout_goes(string? journal, bool redirected, LogStyle style) =>
        Assert.Equal(style, LogSetup.StyleOf(journal, redirected));

    [Fact]
    public void An_event_is_one_JSON_object_with_its_number_name_and_details()
    {
        var line = Json(Written(LogStyle.Json, log => AgentEvents.Started(log, "1.2.3", "/etc/c.toml")));
        Assert.Equal(1, line.GetProperty("id").GetInt32());
        Assert.Equal("agent_started", line.GetProperty("event").GetString());
        Assert.Equal("info", line.GetProperty("level").GetString());
        Assert.Equal("1.2.3", line.GetProperty("version").GetString());
        Assert.Equal(
            "agent_started: version 1.2.3, configuration /etc/c.toml", line.GetProperty("message").GetString());
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", line.GetProperty("time").GetString());
    }

    [Theory]
    [InlineData(LogLevel.Critical, "<2>{")]
    [InlineData(LogLevel.Error, "<3>{")]
    [InlineData(LogLevel.Warning, "<4>{")]
    [InlineData(LogLevel.Information, "<6>{")]
    [InlineData(LogLevel.Debug, "<7>{")]
    public void The_journal_gets_the_priority_of_the_level(LogLevel level, string start) =>
        Assert.StartsWith(
            start, Written(LogStyle.Journal, log => log.Log(level, new EventId(9, "tested"), "text")),
            StringComparison.Ordinal);

    [Theory]
    [InlineData("two\nlines\r\n\u001b[2J\"quoted\" \u2028")]
    public void A_text_from_outside_stays_within_its_line(string hostile)
    {
        var error = new InvalidOperationException("first\nsecond");
        string json = Written(LogStyle.Journal, log => AgentEvents.Failed(log, error, hostile));
        Assert.Equal(1, json.Count(c => c == '\n'));
        Assert.Contains(hostile, Json(json[3..]).GetProperty("message").GetString(), StringComparison.Ordinal);
        string terminal = Written(LogStyle.Terminal, log => AgentEvents.EffectFailed(log, "save", "io", hostile));
        Assert.Equal(1, terminal.Count(char.IsControl));
    }

    [Fact]
    public void Numbers_and_names_of_events_are_unique_and_names_are_past_tense()
    {
        var events = EventMethods().Select(m => m.GetCustomAttribute<LoggerMessageAttribute>()!).ToList();
        Assert.NotEmpty(events);
        Assert.Equal(events.Count, events.Select(e => e.EventId).Distinct().Count());
        Assert.Equal(events.Count, events.Select(e => e.EventName).Distinct().Count());
        Assert.All(events, e => Assert.Matches("^[a-z]+(_[a-z]+)*_([a-z]+ed|ready|found|lost|begun)$", e.EventName));
    }

    [Fact]
    public void Events_take_nothing_that_could_hold_a_secret()
    {
        Type[] harmless =
        [
            typeof(string), typeof(int), typeof(long), typeof(bool), typeof(Exception), typeof(LogLevel),
        ];
        Assert.All(
            EventMethods().SelectMany(m => m.GetParameters().Skip(1)),
            parameter => Assert.Contains(parameter.ParameterType, harmless));
    }

    [Theory]
    [InlineData("{Value}")]
    [InlineData("{@Value}")]
    [InlineData("{$Value}")]
    public void A_secret_that_is_logged_against_all_rules_shows_nothing(string template)
    {
        byte[] canary = [.. Enumerable.Range(0, 32).Select(i => (byte)(i * 5 + 65))];
        using var memory = new SecretMemory(new OsRandomness());
        using var secret = memory.Keep(canary);
        using var lease = secret.Open();
        foreach (var style in Enum.GetValues<LogStyle>())
        {
            string text = WrittenBySerilog(style, log => log.Write(LogEventLevel.Error, template, secret))
                + WrittenBySerilog(style, log => log.Write(LogEventLevel.Error, template, lease));
            Assert.NotEmpty(text);
            foreach (string form in (string[])[
                Convert.ToHexString(canary, 0, 8), Convert.ToHexStringLower(canary, 0, 8),
                Convert.ToBase64String(canary)[..10], string.Join(", ", canary.Take(4)), string.Join(",", canary.Take(4)),
                System.Text.Encoding.Latin1.GetString(canary, 0, 8)])
            {
                Assert.DoesNotContain(form, text, StringComparison.Ordinal);
            }
        }
    }

    private static MethodInfo[] EventMethods() =>
        typeof(AgentEvents).GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly);

    private static string Written(LogStyle style, Action<Microsoft.Extensions.Logging.ILogger> write) =>
        WrittenBySerilog(style, logger =>
        {
            using var factory = new SerilogLoggerFactory(logger);
            write(factory.CreateLogger("test"));
        });

    private static string WrittenBySerilog(LogStyle style, Action<Logger> write)
    {
        var sink = new TextSink(LogSetup.FormatterOf(style));
        using (var logger = new LoggerConfiguration().MinimumLevel.Verbose().WriteTo.Sink(sink).CreateLogger())
            write(logger);
        return sink.Text.ToString();
    }

    private static JsonElement Json(string line) => JsonDocument.Parse(line).RootElement;

    private sealed class TextSink(ITextFormatter formatter) : ILogEventSink
    {
        public StringWriter Text { get; } = new() { NewLine = "\n" };

        public void Emit(LogEvent logEvent) => formatter.Format(logEvent, Text);
    }
}
