using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

/// <summary>A log, its keys and its receipts, and no agent anywhere.</summary>
public sealed class OfflineVerifyTests
{
    [Theory]
    [InlineData("agent.jwk")]
    [InlineData("agent.pem")]
    [InlineData("agent.json")]
    public async Task A_good_log_is_0_whatever_form_the_key_has(string key)
    {
        using var log = new KeptLog();
        CliRun run = await log.VerifyAsync("--log", log.Path, "--key", log[key]);
        Assert.Equal("", run.Error);
        Assert.Equal(
            $"ok: records 1 to 10, 1 checkpoints\nhead {log.Points[^1].Head.ToHex()}\n", run.Output);
        Assert.Equal(0, run.Exit);
    }

    [Fact]
    public async Task One_flipped_byte_is_1_and_its_line_is_named()
    {
        using var log = new KeptLog();
        log.Change("audit.log", bytes =>
        {
            int second = Array.IndexOf(bytes, (byte)'\n') + 1;
            bytes[second + 60] ^= 1;
            return bytes;
        });
        CliRun run = await log.VerifyAsync("--log", log.Path, "--key", log["agent.jwk"]);
        Assert.Equal(1, run.Exit);
        Assert.StartsWith("audit.log:2: ", run.Output, StringComparison.Ordinal);
        Assert.Contains("\nnot ok: 1 finding in records 1 to 10", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Json_is_the_record_of_the_API()
    {
        using var log = new KeptLog();
        CliRun run = await log.VerifyAsync("--log", log.Path, "--key", log["agent.jwk"], "--json");
        AuditVerifyResponse result = StrictJson.Read(run.Bytes, ManagementAnswerJsonContext.Wire.AuditVerifyResponse);
        Assert.True(result.Ok);
        Assert.Equal(log.Points[^1], new AuditPoint(result.LastSeq, result.Head));
    }

    [Fact]
    public async Task One_file_can_be_looked_at_alone()
    {
        using var log = new KeptLog();
        CliRun run = await log.VerifyAsync("--file", log["audit-1.log"], "--key", log["agent.jwk"]);
        Assert.StartsWith("ok: records 1 to 6", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_segment_is_found()
    {
        using var log = new KeptLog();
        File.Delete(log["audit-1.log"]);
        CliRun run = await log.VerifyAsync("--log", log.Path, "--key", log["agent.jwk"], "--agent-id", "pos-001");
        Assert.Equal(1, run.Exit);
        Assert.Contains("audit.log:1: wrong_beginning", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_key_of_another_agent_does_not_fit()
    {
        using var log = new KeptLog();
        using var other = new KeptLog();
        CliRun run = await log.VerifyAsync("--log", log.Path, "--key", other["agent.jwk"], "--agent-id", "pos-001");
        Assert.Equal(1, run.Exit);
        Assert.Contains("wrong_beginning", run.Output, StringComparison.Ordinal);
        Assert.Contains("checkpoint_signature", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_key_can_be_held_to_its_thumbprint()
    {
        using var log = new KeptLog();
        string[] verify = ["--log", log.Path, "--key", log["agent.jwk"], "--thumbprint"];
        Assert.Equal(0, (await log.VerifyAsync([.. verify, log.Thumbprint])).Exit);
        CliRun wrong = await log.VerifyAsync([.. verify, SampleAnswers.Thumbprint]);
        Assert.Equal(2, wrong.Exit);
        Assert.Contains(log.Thumbprint, wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_checkpoint_the_agent_must_be_named()
    {
        using var log = new KeptLog(withCheckpoint: false);
        string[] verify = ["--log", log.Path, "--key", log["agent.jwk"]];
        CliRun unnamed = await log.VerifyAsync(verify);
        Assert.Equal(2, unnamed.Exit);
        Assert.Contains("--agent-id", unnamed.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await log.VerifyAsync([.. verify, "--agent-id", "pos-001"])).Exit);
    }

    [Fact]
    public async Task Receipts_find_a_tail_that_was_cut()
    {
        using var log = new KeptLog();
        File.WriteAllText(log["receipts.jws"], $"{log.Receipt(log.Points[2])}\n{log.Receipt(log.Points[8])}\n");
        string[] verify = ["--log", log.Path, "--key", log["agent.json"], "--receipts", log["receipts.jws"]];
        Assert.Equal(0, (await log.VerifyAsync(verify)).Exit);

        log.Change("audit.log", bytes => bytes[..(Array.IndexOf(bytes, (byte)'\n') + 1)]);
        CliRun cut = await log.VerifyAsync(verify);
        Assert.Equal(1, cut.Exit);
        Assert.Contains(
            "audit.log:1: tail_cut: The log ends at record 7; the receipt of 2026-11-03T09:00:00.000Z knows record 9.",
            cut.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_NV_mirror_finds_a_tail_that_was_cut()
    {
        using var log = new KeptLog();
        File.WriteAllBytes(log["mirror"], log.Mirror(log.Points[8]));
        string[] verify = ["--log", log.Path, "--key", log["agent.json"], "--mirror", log["mirror"]];
        Assert.Equal(0, (await log.VerifyAsync(verify)).Exit);
        log.Change("audit.log", bytes => bytes[..(Array.IndexOf(bytes, (byte)'\n') + 1)]);
        CliRun cut = await log.VerifyAsync(verify);
        Assert.Contains("audit.log:1: tail_cut: The log ends at record 7; the NV mirror knows record 9.", cut.Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mirror_with_a_wrong_checksum_is_no_mirror()
    {
        using var log = new KeptLog();
        byte[] torn = log.Mirror(log.Points[8]);
        torn[63] ^= 1;
        File.WriteAllBytes(log["mirror"], torn);
        CliRun run = await log.VerifyAsync(
            "--log", log.Path, "--key", log["agent.json"], "--mirror", log["mirror"]);
        Assert.Equal(2, run.Exit);
    }

    [Fact]
    public async Task The_run_state_finds_a_tail_that_was_cut_and_brings_key_and_receipts()
    {
        using var log = new KeptLog();
        string point = $$"""{"head":"{{log.Points[8].Head}}","seq":9}""";
        File.WriteAllText(log["run.json"], "{\"format\":1,\"run\":{\"witnessed\":" + point + "}}");
        string[] verify = ["--log", log.Path, "--state", log.Path];
        Assert.Equal(0, (await log.VerifyAsync(verify)).Exit);
        log.Change("audit.log", bytes => bytes[..(Array.IndexOf(bytes, (byte)'\n') + 1)]);
        CliRun cut = await log.VerifyAsync(verify);
        Assert.Contains("the run state knows record 9", cut.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_was_being_closed_when_the_power_went_is_read_once()
    {
        using var log = new KeptLog();
        File.Copy(log["audit.log"], log["audit-7.log"]);
        string[] verify = ["--log", log.Path, "--key", log["agent.json"]];
        Assert.Equal(0, (await log.VerifyAsync(verify)).Exit);
        File.WriteAllBytes(log["audit.log"], []);
        Assert.Equal(0, (await log.VerifyAsync(verify)).Exit);
    }

    [Fact]
    public async Task The_chain_from_before_enrolment_is_verified_against_what_the_new_one_says_of_it()
    {
        using var log = new KeptLog(chainBefore: true);
        string[] verify = ["--log", log.Path, "--key", log["agent.json"]];
        CliRun good = await log.VerifyAsync(verify);
        Assert.Equal((0, ""), (good.Exit, good.Error));
        log.Change("chain-before.log", bytes => [.. bytes[..^20], .. bytes[^19..]]);
        CliRun changed = await log.VerifyAsync(verify);
        Assert.Equal(1, changed.Exit);
        Assert.Contains("chain-before.log:3: malformed", changed.Output, StringComparison.Ordinal);
        File.Delete(log["chain-before.log"]);
        Assert.Contains("chain-before.log: segment_missing", (await log.VerifyAsync(verify)).Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_file_of_a_chain_that_is_over_may_have_begun_for_anybody()
    {
        using var log = new KeptLog(chainBefore: true);
        CliRun run = await log.VerifyAsync("--file", log["chain-before.log"], "--key", log["agent.json"]);
        Assert.Equal(0, run.Exit);
    }

    [Fact]
    public async Task Receipts_find_a_log_that_was_written_anew()
    {
        using var log = new KeptLog();
        using var other = new KeptLog();
        File.WriteAllText(log["receipts.jws"], log.Receipt(other.Points[8]));
        CliRun run = await log.VerifyAsync(
            "--log", log.Path, "--key", log["agent.json"], "--receipts", log["receipts.jws"]);
        Assert.Equal(1, run.Exit);
        Assert.Contains("audit.log:3: anchor_mismatch", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_receipt_counts_only_with_the_servers_signature()
    {
        using var log = new KeptLog();
        using var other = new KeptLog();
        string[] lines =
        [
            other.Receipt(log.Points[2]), "not a receipt", log.Receipt(log.Points[2], "pos-002"),
            log.Receipt(log.Points[2], conflict: true),
        ];
        File.WriteAllLines(log["receipts.jws"], lines);
        CliRun run = await log.VerifyAsync(
            "--log", log.Path, "--key", log["agent.json"], "--receipts", log["receipts.jws"]);
        Assert.Equal(1, run.Exit);
        string[] found = [.. run.Output.Split('\n').Take(4).Select(line => string.Join(':', line.Split(':').Take(3)))];
        Assert.Equal(
            [
                "receipts.jws:1: receipt_signature", "receipts.jws:2: receipt_malformed",
                "receipts.jws:3: receipt_agent", "receipts.jws:4: witness_conflict",
            ],
            found);
    }

    [Fact]
    public async Task A_keyset_that_is_not_the_pinned_one_is_not_believed()
    {
        using var log = new KeptLog();
        using var other = new KeptLog();
        File.WriteAllText(log["receipts.jws"], other.Receipt(log.Points[2]));
        CliRun run = await log.VerifyAsync(
            "--log", log.Path, "--key", log["agent.json"], "--receipts", log["receipts.jws"],
            "--server-key", other["keysets.json"]);
        Assert.Equal(2, run.Exit);
        Assert.Contains("keyset_pin", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_servers_key_can_be_given_alone()
    {
        using var log = new KeptLog();
        File.WriteAllText(log["receipts.jws"], log.Receipt(log.Points[2]));
        File.WriteAllText(log["server.jwk"], log.ServerJwk);
        File.Delete(log["keysets.json"]);
        string[] verify = ["--log", log.Path, "--key", log["agent.jwk"], "--receipts", log["receipts.jws"]];
        Assert.Equal(2, (await log.VerifyAsync(verify)).Exit);
        Assert.Equal(0, (await log.VerifyAsync([.. verify, "--server-key", log["server.jwk"]])).Exit);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("not json")]
    [InlineData("""{"crv":"P-256","kty":"EC","x":"AAAA","y":"AAAA"}""")]
    [InlineData("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")]
    public async Task What_is_no_key_is_2_and_says_what_is_wanted(string content)
    {
        using var log = new KeptLog();
        File.WriteAllText(log["odd.key"], content);
        CliRun run = await log.VerifyAsync("--log", log.Path, "--key", log["odd.key"]);
        Assert.Equal((2, ""), (run.Exit, run.Output));
        Assert.Contains("is not the agent's signing key as JWK or PEM", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--log", "nowhere", "There is no directory")]
    [InlineData("--file", "nowhere", "There is no file")]
    [InlineData("--log", "empty", "There is no audit.log in")]
    [InlineData("--file", "empty", "is a directory")]
    public async Task What_is_no_log_is_2(string option, string path, string says)
    {
        using var log = new KeptLog();
        Directory.CreateDirectory(log["empty"]);
        CliRun run = await log.VerifyAsync(option, log[path], "--key", log["agent.json"]);
        Assert.Equal(2, run.Exit);
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
    }
}
