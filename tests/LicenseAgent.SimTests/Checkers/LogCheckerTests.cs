using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using Xunit;
using static LicenseAgent.SimTests.Checkers.Histories;

namespace LicenseAgent.SimTests.Checkers;

/// <summary>The checkers of the log, on logs made by hand.</summary>
public sealed class LogCheckerTests
{
    private static readonly Received Confirmed = new(5, Till, "confirm-rotation", 1, "ok");

    [Fact]
    public void I18_a_whole_chain_is_good() =>
        Assert.Empty(FoundIn<ChainHolds>(Log((1, "started", "a"), (2, "secret_staged", "r1"), (3, "stopped", "a"))));

    [Fact]
    public void I18_a_number_left_out_is_found() =>
        Assert.Single(FoundIn<ChainHolds>(Log((1, "started", "a"), (3, "stopped", "a"))));

    [Fact]
    public void I18_a_changed_byte_is_found()
    {
        byte[] log = Log((1, "started", "a"), (2, "secret_staged", "r1"));
        log[Encoding.ASCII.GetString(log).IndexOf("staged", StringComparison.Ordinal)] ^= 1;
        Assert.Single(FoundIn<ChainHolds>(log));
    }

    [Fact]
    public void I18_a_record_that_does_not_follow_the_one_before_is_found()
    {
        byte[] one = Log((1, "started", "a"), (2, "secret_staged", "r1"));
        byte[] other = Log((1, "started", "b"), (2, "secret_staged", "r2"));
        byte[] spliced = [.. one[..(Array.IndexOf(one, (byte)'\n') + 1)], .. other[(Array.IndexOf(other, (byte)'\n') + 1)..]];
        Assert.Single(FoundIn<ChainHolds>(spliced));
    }

    [Fact]
    public void I18_a_chain_that_begins_in_the_middle_is_found() =>
        Assert.Single(FoundIn<ChainHolds>(Log((2, "started", "a"))));

    [Fact]
    public void I18_a_torn_last_line_is_no_record() =>
        Assert.Empty(FoundIn<ChainHolds>([.. Log((1, "started", "a")), .. "{\"seq\":2,"u8]));

    [Fact]
    public void I18_a_log_that_somebody_cut_is_the_witness_to_tell() => Assert.Empty(FoundIn<ChainHolds>(
        Log((2, "started", "a")), new FaultBegan(1, Till, 1, FaultKinds.AuditTailCut)));

    [Fact]
    public void I18_a_file_goes_on_where_the_one_before_it_ended()
    {
        byte[] whole = Log((1, "started", "a"), (2, "secret_staged", "r1"), (3, "stopped", "a"));
        int second = Array.IndexOf(whole, (byte)'\n') + 1;
        int third = Array.IndexOf(whole, (byte)'\n', second) + 1;
        Assert.Empty(FoundIn<ChainHolds>([whole[..second], whole[second..third], whole[third..]]));
        Assert.Single(FoundIn<ChainHolds>([whole[..second], whole[third..]]));
        Assert.Single(FoundIn<ChainHolds>([whole[second..third], whole[third..]]));
    }

    [Theory]
    [InlineData("segment_retired", 1, true)]
    [InlineData("chain_retired", 1, true)]
    [InlineData("segment_retired", 2, false)]
    [InlineData("stopped", 1, false)]
    public void I18_a_beginning_is_missing_only_where_the_log_says_what_was_removed(string what, int last, bool good)
    {
        byte[] first = Log((1, "started", "a"));
        byte[] end = HashOf(first);
        string details = $$"""{"last_seq":{{last}},"head":"{{Base64UrlText.Encode(end)}}"}""";
        byte[] second = Log(end, (2, "secret_staged", "r1", "{}"), (3, what, "segment-1", details));
        Assert.Equal(good ? 0 : 1, FoundIn<ChainHolds>(second).Length);
    }

    [Fact]
    public void I18_a_file_that_was_removed_too_early_is_found()
    {
        Assert.Empty(Found<ChainHolds>(new LogFileRetired(1, Till, "audit-1.log", (90 * 86_400) + 1)));
        Assert.Single(Found<ChainHolds>(new LogFileRetired(1, Till, "audit-1.log", 86_400)));
        Assert.Empty(Found<ChainHolds>(
            new FaultBegan(1, Till, 1, FaultKinds.DeadRtc), new LogFileRetired(1, Till, "audit-1.log", 86_400)));
    }

    /// <summary>Degraded seed 152: eight days without a server at 350 ppm are 258 s.</summary>
    [Fact]
    public void I18_a_clock_that_runs_fast_makes_a_file_older_by_its_lead()
    {
        Plan fast = Plan() with { Knobs = new Knobs(DriftPpm: 350, RetentionS: 250_000) };
        Violation[] At(long second, long ageS) => [.. new ChainHolds().Check(new RunRecord(
            fast,
            [
                new AnswerJudged(Hour, Till, "None", 1, 2),
                new LogFileRetired(Hour + (second * Second), Till, "audit-1.log", ageS),
            ],
            []))];
        Assert.Empty(At(second: 737_000, 250_000 - 430));
        Assert.Single(At(second: 737_000, 250_000 - 440));
        Assert.Single(At(second: 3_600, 250_000 - 190));
    }

    [Fact]
    public void I19_a_record_that_was_shown_and_is_not_in_the_log_is_found()
    {
        byte[] log = Log((1, "started", "a"), (2, "secret_staged", "r1"));
        byte[] other = Log((1, "started", "a"), (2, "secret_staged", "r2"));
        WitnessGiven shown = new(5, Till, 2, Conflict: false) { Head = Digest32.From(HashOf(log)) };
        Assert.Empty(FoundIn<HonestLogsAgree>(log, shown));
        Assert.Single(FoundIn<HonestLogsAgree>(other, shown));
        Assert.Single(FoundIn<HonestLogsAgree>(Log((1, "started", "a")), shown));
        Assert.Empty(FoundIn<HonestLogsAgree>(other, new FaultBegan(1, Till, 1, FaultKinds.AuditSwapped), shown));
    }

    [Fact]
    public void I20_what_was_retired_need_not_name_a_version_and_what_is_left_must()
    {
        byte[] first = Log((1, "started", "a"));
        byte[] end = HashOf(first);
        string details = $$"""{"last_seq":1,"head":"{{Base64UrlText.Encode(end)}}"}""";
        byte[] left = Log(
            end, (2, "segment_retired", "segment-1", details), (3, "secret_staged", "r5", """{"version":5}"""));
        Received[] confirmed = [.. new long[] { 3, 5 }.Select(
            version => new Received(1, Till, "confirm-rotation", version, "ok"))];
        Assert.Empty(FoundIn<TransitionsRecorded>(left, [.. confirmed]));
        Assert.Single(FoundIn<TransitionsRecorded>(
            left, [.. confirmed, new Received(1, Till, "confirm-rotation", 6, "ok")]));
    }

    [Fact]
    public void I20_a_version_confirmed_and_never_recorded_is_found()
    {
        Assert.Empty(FoundIn<TransitionsRecorded>(Log((1, "secret_staged", "r1")), Confirmed));
        Assert.Single(FoundIn<TransitionsRecorded>(Log((1, "started", "a")), Confirmed));
    }

    [Fact]
    public void I20_a_generation_recorded_twice_is_found_unless_a_crash_explains_it()
    {
        byte[] twice = Log(
            (1, "secret_staged", "r1"), (2, "generation_committed", "generation-2"),
            (3, "generation_committed", "generation-2"));
        Assert.Single(FoundIn<TransitionsRecorded>(twice, Confirmed));
        Assert.Empty(FoundIn<TransitionsRecorded>(twice, Confirmed, new Ended(3, Till, EndOf.Kill, "")));
    }

    private static byte[] Log(params (long Seq, string Event, string Op)[] records) =>
        Log(new byte[32], [.. records.Select(r => (r.Seq, r.Event, r.Op, "{}"))]);

    private static byte[] Log(byte[] prev, params (long Seq, string Event, string Op, string Details)[] records)
    {
        List<byte> log = [];
        foreach ((long seq, string what, string op, string details) in records)
        {
            byte[] line = Encoding.ASCII.GetBytes(
                $$"""{"seq":{{seq}},"event":"{{what}}","op":"{{op}}","outcome":"ok","details":{{details}},"""
                + $$""" "prev":"{{Base64UrlText.Encode(prev)}}" """.Trim());
            prev = SHA256.HashData([.. prev, .. line]);
            log.AddRange([.. line, .. Encoding.ASCII.GetBytes($",\"hash\":\"{Base64UrlText.Encode(prev)}\"}}\n")]);
        }

        return [.. log];
    }

    /// <summary>Of a log's last line.</summary>
    private static byte[] HashOf(byte[] log)
    {
        string text = Encoding.ASCII.GetString(log);
        Base64UrlText.TryDecode(text[(text.LastIndexOf(":\"", StringComparison.Ordinal) + 2)..^3], out byte[] hash);
        return hash;
    }
}
