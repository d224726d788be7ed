using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Audit;

/// <summary>Blocks that never reached the disk are no tampering, and nothing else may look like them (I19).</summary>
public sealed class AuditHoleTests
{
    private const int HoleAt = 5;

    [Fact]
    public void Zeros_where_records_should_begin_are_a_torn_tail_with_all_that_stands_behind_them()
    {
        LogText log = LogText.Small();
        int whole = log.Lines[..HoleAt].Sum(l => l.Length);
        byte[] bytes = WithHole(log);
        AuditVerifyResponse result = LogText.Verify(bytes);
        Assert.Equal([], LogText.Codes(result));
        Assert.Equal((HoleAt, bytes.Length - whole), ((int)result.LastSeq, (int)result.Torn));
    }

    [Fact]
    public void An_anchor_behind_a_hole_shows_that_the_tail_was_cut()
    {
        LogText log = LogText.Small();
        Assert.Equal([$"{HoleAt} tail_cut"], LogText.Codes(LogText.Verify(WithHole(log), log.End)));
    }

    [Fact]
    public void Zeros_in_front_of_a_start_are_a_finding()
    {
        LogText log = LogText.Small();
        byte[] bytes = WithHole(log.Add("agent_started"));
        Assert.Equal([$"{HoleAt + 1} malformed"], LogText.Codes(LogText.Verify(bytes)));
    }

    [Fact]
    public void Zeros_in_front_of_a_checkpoint_that_signs_what_stands_behind_them_are_a_finding()
    {
        LogText log = new LogText().Add().Add().Add().Add().Add().Add().Add().AddCheckpoint();
        Assert.Equal([$"{HoleAt + 1} malformed"], LogText.Codes(LogText.Verify(WithHole(log))));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public void A_few_zeros_that_end_at_no_block_are_a_finding(int zeros)
    {
        LogText log = LogText.Small();
        int at = log.Lines[..HoleAt].Sum(l => l.Length);
        byte[] bytes = log.Bytes;
        bytes.AsSpan(at, (at + zeros) % 512 == 0 ? zeros + 1 : zeros).Clear();
        Assert.Equal($"{HoleAt + 1} malformed", LogText.Codes(LogText.Verify(bytes))[0]);
    }

    [Fact]
    public void Zeros_within_a_line_are_a_finding()
    {
        byte[] bytes = LogText.Small().Bytes;
        bytes.AsSpan(bytes.Length - 300, 280).Clear();
        Assert.Equal("8 malformed", LogText.Codes(LogText.Verify(bytes))[0]);
    }

    [Fact]
    public void A_hole_longer_than_any_line_is_one_whatever_pieces_it_comes_in()
    {
        LogText log = LogText.Small();
        byte[] before = [.. log.Lines[..HoleAt].SelectMany(l => l)];
        byte[] bytes = [.. before, .. new byte[100_000], (byte)'x', (byte)'\n', .. log.Lines[^1]];
        for (int chunk = 511; chunk < 40_000; chunk += 9_973)
        {
            AuditVerifyResponse result = LogText.Verify([("audit.log", bytes)], [], chunk);
            Assert.Equal((true, bytes.Length - before.Length), (result.Ok, (int)result.Torn));
        }
    }

    [Fact]
    public void Zeros_in_a_file_that_another_follows_are_a_finding()
    {
        LogText log = LogText.Small();
        byte[] first = WithHole(log);
        log.Lines.Clear();
        byte[] next = log.Add().Bytes;
        string[] codes = LogText.Codes(LogText.Verify([("audit-1.log", first), ("audit.log", next)], []));
        Assert.Equal([$"{HoleAt + 1} malformed"], codes);
    }

    /// <summary>The sixth line is zeros, all of it and the beginning of the next.</summary>
    private static byte[] WithHole(LogText log)
    {
        byte[] bytes = log.Bytes;
        bytes.AsSpan(log.Lines[..HoleAt].Sum(l => l.Length), log.Lines[HoleAt].Length + 20).Clear();
        return bytes;
    }
}
