using System.Text.Json;
using LicenseAgent.Cli.Display;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

public sealed class AuditCommandTests
{
    [Fact]
    public async Task A_record_is_what_happened_and_below_it_who_and_the_details()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Happened("rotation_failed", "failed", """{"why":"no contact","version":8}""");
        CliRun run = await CliRun.OfAsync(agent, "audit", "show");
        Assert.Equal(
            """
                  1  2026-11-03T09:00:00.000Z  rotation_failed  failed
                     agent  why="no contact" version=8

            """, run.Output);
        Assert.Equal((0, ""), (run.Exit, run.Error));
    }

    [Fact]
    public async Task In_a_file_a_record_is_one_line()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Happened("rotation_failed", "failed", """{"why":"no contact"}""");
        CliRun run = await CliRun.OfAsync(agent, ScreenForm.File, "audit", "show");
        Assert.Equal(
            "      1  2026-11-03T09:00:00.000Z  rotation_failed  failed  agent  why=\"no contact\"\n", run.Output);
    }

    [Fact]
    public async Task A_page_says_how_to_go_on()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        foreach (string name in new[] { "a", "b", "c" })
            agent.Happened(name);
        CliRun run = await CliRun.OfAsync(agent, ScreenForm.File, "audit", "show", "--after", "1", "--limit", "1");
        Assert.Equal("/v1/audit?after=1&limit=1", Assert.Single(agent.Calls).Target);
        Assert.Equal(["b"], Events(run));
        Assert.EndsWith("More: license-agent-cli audit show --after 2\n", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Past_the_end_there_are_no_records()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "audit", "show", "--after", "9");
        Assert.Equal((0, "No such records.\n"), (run.Exit, run.Output));
    }

    [Fact]
    public async Task Tail_shows_the_newest_without_its_own_looking()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        for (int i = 1; i <= 30; i++)
            agent.Happened($"event_{i}");
        await CliRun.OfAsync(agent, "audit", "show");
        CliRun run = await CliRun.OfAsync(agent, ScreenForm.File, "audit", "tail", "-n", "2");
        Assert.Equal(["event_29", "event_30"], Events(run));
    }

    [Fact]
    public async Task Tail_begins_near_the_end_that_the_metrics_name()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        for (int i = 1; i <= 100; i++)
            agent.Happened($"event_{i}");
        agent.Metrics = "license_agent_audit_seq 90\n";
        CliRun run = await CliRun.OfAsync(agent, ScreenForm.File, "audit", "tail", "-n", "3");
        Assert.Equal(["event_98", "event_99", "event_100"], Events(run));
        Assert.Equal(["/v1/metrics", "/v1/audit?after=84&limit=1000"], agent.Calls.Select(call => call.Target));
    }

    [Fact]
    public async Task Tail_follows_until_it_is_interrupted()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Happened("before");
        using var ctrlC = new CancellationTokenSource();
        int looks = 0;
        agent.Recorded = call =>
        {
            if (!call.Target.StartsWith("/v1/audit?", StringComparison.Ordinal))
                return;
            looks++;
            agent.Happened($"event_{looks}");
            if (looks == 5)
                ctrlC.Cancel();
        };
        CliRun run = await new CliStart { Form = ScreenForm.File, Stop = ctrlC.Token }.RunAsync(
            "audit", "tail", "--follow", "--socket", agent.SocketPath);
        Assert.Equal(0, run.Exit);
        Assert.Equal(["before", "event_1", "event_2", "event_3"], Events(run).Take(4));
    }

    [Fact]
    public async Task Tail_follows_over_a_restart_of_the_agent()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        using var ctrlC = new CancellationTokenSource();
        int looks = 0;
        agent.Instead = call =>
        {
            bool away = call.Target.StartsWith("/v1/audit?", StringComparison.Ordinal) && ++looks is > 1 and < 5;
            if (looks == 6)
                ctrlC.Cancel();
            return away ? (429, null, []) : null;
        };
        agent.Happened("before");
        CliRun run = await new CliStart { Form = ScreenForm.File, Stop = ctrlC.Token }.RunAsync(
            "audit", "tail", "--follow", "--socket", agent.SocketPath);
        Assert.Equal(0, run.Exit);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.EndsWith("Trying on.\n", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tail_with_json_is_one_record_a_line_as_the_agent_wrote_it()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Happened("first", "ok", """{"n":1}""");
        agent.Happened("second");
        CliRun run = await CliRun.OfAsync(agent, ScreenForm.File, "audit", "tail", "--json");
        string[] lines = run.Output.TrimEnd('\n').Split('\n');
        using JsonDocument page = JsonDocument.Parse(agent.LastAnswer);
        Assert.Equal(
            page.RootElement.GetProperty("records").EnumerateArray().Take(2).Select(record => record.GetRawText()),
            lines);
    }

    [Fact]
    public async Task Verify_by_the_agent_that_finds_nothing_is_0()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Verification = agent.Verification with { Torn = 12 };
        CliRun run = await CliRun.OfAsync(agent, "audit", "verify");
        Assert.Equal(
            $"""
            ok: records 1 to 117, 3 checkpoints
            head {SampleAnswers.GoodLog.Head.ToHex()}
            The last line is torn (12 bytes): a power cut does that, and it is no finding.

            """, run.Output);
        Assert.Equal(0, run.Exit);
    }

    [Fact]
    public async Task Verify_by_the_agent_names_the_line_and_is_1()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Verification = SampleAnswers.BadLog;
        CliRun run = await CliRun.OfAsync(agent, "audit", "verify");
        Assert.Equal(1, run.Exit);
        Assert.StartsWith(
            "audit.log:42: altered: The bytes of this line do not have its hash.\n"
            + "not ok: 1 finding in records 1 to 117",
            run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_lists_the_first_20_findings()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Verification = SampleAnswers.BadLog with
        {
            Findings = [.. Enumerable.Range(1, 23).Select(n => SampleAnswers.BadLog.Findings[0] with { Line = n })],
        };
        CliRun run = await CliRun.OfAsync(agent, "audit", "verify");
        Assert.Contains("audit.log:20: altered", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("audit.log:21:", run.Output, StringComparison.Ordinal);
        Assert.Contains("and 3 more; --json lists them.\nnot ok: 23 findings", run.Output, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Events(CliRun run) => run.Output.TrimEnd('\n').Split('\n')
        .Where(line => !line.StartsWith("More", StringComparison.Ordinal))
        .Select(line => line.Split("  ", StringSplitOptions.RemoveEmptyEntries)[2]);
}
