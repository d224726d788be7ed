using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Audit;

/// <summary>A log in several files, and one whose oldest file was retired.</summary>
public sealed class AuditSegmentTests
{
    [Fact]
    public void A_chain_runs_on_through_segments()
    {
        LogText log = LogText.Small();
        Assert.True(LogText.Verify(Split(log), [log.End]).Ok);
    }

    [Fact]
    public void A_missing_segment_is_found_at_the_first_line_behind_it()
    {
        (string, byte[])[] segments = [.. Split(LogText.Small()).Where(s => s.Name != "audit-4.log")];
        AuditFinding first = LogText.Verify(segments, []).Findings[0];
        Assert.Equal(("audit.log", 1, "segment_missing"), (first.File, first.Line, first.Code));
    }

    [Fact]
    public void A_segment_under_another_name_is_found()
    {
        (string, byte[])[] segments =
            [.. Split(LogText.Small()).Select(s => (s.Name.Replace("-4.", "-5.", StringComparison.Ordinal), s.Bytes))];
        Assert.Equal(["1 segment_name"], LogText.Codes(LogText.Verify(segments, [])));
    }

    [Fact]
    public void A_closed_segment_cannot_be_torn()
    {
        (string Name, byte[] Bytes)[] segments = [.. Split(LogText.Small())];
        segments[0].Bytes = segments[0].Bytes[..^5];
        Assert.Equal(["3 malformed"], LogText.Codes(LogText.Verify(segments, [])));
    }

    [Fact]
    public void A_log_may_begin_behind_a_segment_whose_retirement_it_records()
    {
        LogText log = Retired(out AuditPoint last, out string jws);
        log.Add("segment_retired", null, Retirement(last, jws));
        log.Lines.RemoveRange(0, 3);
        AuditVerifyResponse result = LogText.Verify([("audit-4.log", log.Bytes)], []);
        Assert.Equal([], LogText.Codes(result));
        Assert.Equal(4, result.FirstSeq);
    }

    [Fact]
    public void A_log_that_begins_behind_a_segment_without_saying_so_is_found()
    {
        LogText log = Retired(out _, out _);
        log.Lines.RemoveRange(0, 3);
        Assert.Equal(["1 wrong_beginning"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void A_retirement_of_another_segment_explains_nothing()
    {
        LogText log = Retired(out AuditPoint last, out string jws);
        log.Add("segment_retired", null, Retirement(last with { Head = Digest32.Sha256("x"u8) }, jws));
        log.Lines.RemoveRange(0, 3);
        Assert.Equal(["1 wrong_beginning"], LogText.Codes(log.Verify()));
    }

    [Fact]
    public void A_retirement_with_a_checkpoint_nobody_signed_explains_nothing()
    {
        LogText log = Retired(out AuditPoint last, out string jws);
        log.Add("segment_retired", null, Retirement(last, jws[..^4] + "AAAA"));
        log.Lines.RemoveRange(0, 3);
        Assert.Equal(["1 wrong_beginning"], LogText.Codes(log.Verify()));
    }

    [Theory]
    [InlineData("audit-17.log", 17)]
    [InlineData("audit-017.log", -1)]
    [InlineData("audit--1.log", -1)]
    [InlineData("audit-.log", -1)]
    [InlineData("audit.log", -1)]
    [InlineData("chain-x.log", -1)]
    [InlineData("audit-99999999999999999999.log", -1)]
    public void The_name_of_a_closed_segment_says_its_first_record_in_one_way(string name, long firstSeq) =>
        Assert.Equal(firstSeq, AuditFormat.TryReadSegmentName(name, out long read) ? read : -1);

    private static IEnumerable<(string Name, byte[] Bytes)> Split(LogText log) =>
    [
        ("audit-1.log", [.. log.Lines[..3].SelectMany(l => l)]),
        ("audit-4.log", [.. log.Lines[3..6].SelectMany(l => l)]),
        ("audit.log", [.. log.Lines[6..].SelectMany(l => l)]),
    ];

    private static LogText Retired(out AuditPoint last, out string jws)
    {
        LogText log = new LogText().Add().Add().AddCheckpoint();
        last = log.End;
        string line = System.Text.Encoding.UTF8.GetString(log.Lines[2]);
        jws = line.Split("\"jws\":\"")[1].Split('"')[0];
        return log.Add().Add();
    }

    private static AuditDetails Retirement(AuditPoint last, string jws) => new()
    {
        { "first_seq", 1 }, { "last_seq", last.Seq }, { "head", last.Head }, { "checkpoint", jws },
    };
}
