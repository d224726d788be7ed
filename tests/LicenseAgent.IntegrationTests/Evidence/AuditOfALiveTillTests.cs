using System.Text;
using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>A real till whose log is cut, or whose disk is full.</summary>
public sealed class AuditOfALiveTillTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task I19_a_log_that_was_cut_is_found_by_the_server_at_the_next_check_in_and_changes_no_mode()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, TimeSpan.FromSeconds(2));
        await Eventually.HoldsAsync(
            () => till.Read().Run.Witnessed?.Seq > 10, "the server never witnessed the log", Cancel);
        Assert.Equal(0, await till.StopAgentAsync());
        string[] lines = await File.ReadAllLinesAsync(till.Folder.AuditLog, Cancel);
        await File.WriteAllTextAsync(
            till.Folder.AuditLog, string.Concat(lines.Take(3).Select(l => l + "\n")), Cancel);

        await till.RestartAgentAsync();
        StatusResponse status = await Eventually.GetAsync(
            async () => await till.StatusAsync() is { } s && Raised(s, "audit_regressed") ? s : null,
            () => "the server never said that the log went back", Cancel);
        Assert.Equal("NORMAL", status.Mode);
        Assert.Contains("\"alert\":\"audit_regressed\"", await LogAsync(till), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("continue")]
    [InlineData("refuse")]
    public async Task I21_on_a_full_disk_secrets_do_not_change_and_validations_follow_the_policy(string policy)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(
            Cancel, shape: s => s with { OnAuditFailure = policy });
        string token = await LostAnswerTests.IssueAsync(till);
        await using SmallDisk disk = await SmallDisk.UnderLogsAsync(till);
        await till.AgreementAsync();
        Assert.True((await till.ValidateAsync(token)).IsValid);

        disk.Fill();
        await UseUpTheLastPageAsync(till, token);
        AgentException refused = await Assert.ThrowsAnyAsync<AgentException>(() => till.Operator.RotateAsync(Cancel));
        Assert.Contains("audit log cannot be written", refused.Message, StringComparison.Ordinal);
        if (policy == "continue")
            Assert.True((await till.ValidateAsync(token)).IsValid);
        else
            await Assert.ThrowsAnyAsync<AgentException>(() => till.ValidateAsync(token));
        StatusResponse full = await Eventually.GetAsync(
            async () => await till.StatusAsync() is { } s && Raised(s, "audit_gap") ? s : null,
            () => "the alert was never raised", Cancel);
        Assert.Equal(1, till.Read().Active);
        Assert.Contains("disk", full.Alerts.First(a => a.Id == "audit_gap").Detail, StringComparison.Ordinal);

        disk.MakeRoom();
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
        Assert.Equal(2, (await till.AgreementAsync()).Active);
        await Eventually.GetAsync(
            async () => Raised(await till.StatusAsync(), "audit_gap") ? null : "cleared",
            () => "the alert was never cleared", Cancel);
        string gap = Assert.Single(
            (await LogAsync(till)).Split('\n'), l => l.Contains("\"event\":\"audit_gap\"", StringComparison.Ordinal));
        Assert.Contains($"\"policy\":\"{policy}\",\"code\":\"disk_full\"", gap, StringComparison.Ordinal);
        Assert.Contains("\"from\":\"20", gap, StringComparison.Ordinal);
        Assert.True((await till.Operator.VerifyAuditAsync(Cancel)).Value.Ok);
        await till.StopAgentAsync();
    }

    [Fact]
    public async Task Promtool_accepts_the_metrics_but_for_the_two_names_that_were_asked_for()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.ValidateAsync(await LostAnswerTests.IssueAsync(till));
        await Eventually.HoldsAsync(() => File.Exists(till.Folder.MetricsFile), "there is no metrics.prom", Cancel);
        string[] texts =
        [
            await File.ReadAllTextAsync(till.Folder.MetricsFile, Cancel),
            (await till.Operator.MetricsAsync(Cancel)).Value,
        ];
        foreach (string text in texts)
        {
            string[] objections = await PromtoolAsync(text);
            Assert.All(objections, line => Assert.Matches(
                "^license_agent_(rotations|validations)_failed counter metrics should have \"_total\" suffix$", line));
            Assert.Equal(2, objections.Length);
        }
        Assert.Contains("license_agent_tpm_operation_duration_seconds_count{operation=", texts[1],
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Counters_go_on_after_a_kill_from_what_was_written_a_minute_before_at_most()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await LostAnswerTests.IssueAsync(till);
        for (int i = 0; i < 5; i++)
            await till.ValidateAsync(token);
        await till.Operator.RotateAsync(Cancel);
        await till.AgreementAsync();
        await till.KillAgentAsync();
        await till.RestartAgentAsync();
        await till.AgreementAsync();
        string metrics = (await till.Operator.MetricsAsync(Cancel)).Value;
        Assert.Contains("\nlicense_agent_validations_total 5\n", metrics, StringComparison.Ordinal);

        // The second rotation was counted after the write it came with.
        Assert.Matches("\nlicense_agent_rotations_total [12]\n", metrics);
    }

    /// <summary>A full disk still takes what fits into the last page of the log: some ten records.</summary>
    private static async Task UseUpTheLastPageAsync(LiveTill till, string token)
    {
        for (int i = 0; i < 15; i++)
        {
            try
            {
                await till.ValidateAsync(token);
            }
            catch (AgentException)
            {
                // Under refuse, as it should be.
                return;
            }
        }
    }

    private static bool Raised(StatusResponse status, string alert) => status.Alerts.Any(a => a.Id == alert);

    private static async Task<string> LogAsync(LiveTill till)
    {
        await using FileStream file = new(
            till.Folder.AuditLog, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(file, Encoding.UTF8);
        return await reader.ReadToEndAsync(Cancel);
    }

    private static async Task<string[]> PromtoolAsync(string text)
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, text, Cancel);
        await using ChildProcess tool = await ChildProcess.StartAsync(
            "/bin/sh", ["-c", $"promtool check metrics < {file} 2>&1"]);
        await tool.ExitCodeAsync(Cancel);
        File.Delete(file);
        return [.. tool.Said.Split('\n').Where(l => l.Trim().Length > 0)];
    }
}
