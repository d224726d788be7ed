using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Protocol.Vectors;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Audit;

/// <summary>
/// The twelve tamperings that offline verification has to find, each with the file and line it names, on one log of
/// three segments. The end-to-end tests do the same twelve, by the same numbers, to the files of a real agent.
/// </summary>
public sealed class AuditTwelveTests
{
    // Records 1-5, 6-10 and 11-16; checkpoints are 4, 9 and 14, the receipt knows record 15.
    private static readonly int[] SegmentLengths = [5, 5, 6];

    [Theory]
    [InlineData(1, "a flipped byte", "audit-6.log", 2, "altered")]
    [InlineData(2, "a removed line", "audit-6.log", 3, "missing")]
    [InlineData(3, "an added line", "audit-6.log", 3, "out_of_order")]
    [InlineData(4, "two lines swapped", "audit.log", 3, "out_of_order")]
    [InlineData(5, "a block of lines moved", "audit-6.log", 3, "out_of_order")]
    [InlineData(6, "a file replaced by one of another log", "audit-6.log", 1, "chain_broken")]
    [InlineData(7, "a missing segment", "audit.log", 1, "segment_missing")]
    [InlineData(8, "a checkpoint signed by another key", "audit-6.log", 4, "checkpoint_signature")]
    [InlineData(9, "a checkpoint skipped, and hashed anew", "audit.log", 4, "checkpoint_content")]
    [InlineData(10, "a cut tail", "audit.log", 3, "tail_cut")]
    [InlineData(11, "records rewritten behind the last checkpoint", "audit.log", 5, "anchor_mismatch")]
    [InlineData(12, "the whole log put back to an older copy", "audit.log", 5, "tail_cut")]
    public void Each_of_the_twelve_is_found_where_it_was_done(
        int number, string what, string file, int line, string code)
    {
        AuditPoint receipt = Log().At(15);
        AuditVerifyResponse result = LogText.Verify(Tampered(number), [receipt]);
        Assert.False(result.Ok, what);
        Assert.Contains((file, (long)line, code), result.Findings.Select(f => (f.File, f.Line, f.Code)));
    }

    [Fact]
    public void Without_tampering_there_is_no_finding() =>
        Assert.Equal([], LogText.Codes(LogText.Verify(Split(Log().Lines), [Log().At(15)])));

    private static IEnumerable<(string Name, byte[] Bytes)> Tampered(int number)
    {
        List<byte[]> lines = Log().Lines;
        switch (number)
        {
            case 1: lines[6] = [.. lines[6]]; lines[6][20] ^= 1; break;
            case 2: return Split(lines, l => l.RemoveAt(7));
            case 3: return Split(lines, l => l.Insert(7, l[6]));
            case 4: (lines[11], lines[12]) = (lines[12], lines[11]); break;
            case 5: return Split(lines, l => Move(l, from: 5, count: 2, to: 9));
            case 6: lines = Mixed(lines, Log("pos-002").Lines); break;
            case 7: return Split(lines).Where(s => s.Name != "audit-6.log");
            case 8: lines = Log(key: FixedEcKey.Named("attacker")).Lines; break;
            case 9: lines = Log(skipCheckpoint: 9).Lines; break;
            case 10: return Split(lines).Select(s => s.Name == "audit.log" ? (s.Name, First(s.Bytes, 3)) : s);
            case 11: lines = Log(rewrite: 15).Lines; break;
            case 12: return Split(lines).Take(2).Select(s => (s.Name == "audit-6.log" ? "audit.log" : s.Name, s.Bytes));
            default: throw new ArgumentOutOfRangeException(nameof(number));
        }
        return Split(lines);
    }

    /// <summary>Sixteen records; the same every time, but for what is asked to be different.</summary>
    private static History Log(
        string agentId = LogText.AgentId, FixedEcKey? key = null, int skipCheckpoint = 0, int rewrite = 0)
    {
        var log = new LogText(agentId);
        var honest = new LogText(agentId);
        var points = new List<AuditPoint>();
        for (int seq = 1; seq <= 16; seq++)
        {
            bool checkpoint = seq is 4 or 9 or 14;
            if (checkpoint && seq != skipCheckpoint)
            {
                // Who skips one keeps the others: they cannot be signed anew.
                log.AddCheckpoint(skipCheckpoint == 0 ? null : honest.End, seq == 9 ? key : null, agentId: agentId);
            }
            else
            {
                log.Add(seq == rewrite ? "nothing_happened" : "mode_changed", $"op-{seq}");
            }
            if (checkpoint)
                honest.AddCheckpoint(agentId: agentId);
            else
                honest.Add("mode_changed", $"op-{seq}");
            points.Add(log.End);
        }
        return new History(log.Lines, points);
    }

    private static List<byte[]> Mixed(List<byte[]> ours, List<byte[]> others) =>
        [.. ours[..5], .. others[5..10], .. ours[10..]];

    private static void Move(List<byte[]> lines, int from, int count, int to)
    {
        List<byte[]> block = lines[from..(from + count)];
        lines.RemoveRange(from, count);
        lines.InsertRange(to - count, block);
    }

    private static byte[] First(byte[] bytes, int lines)
    {
        int at = 0;
        for (int i = 0; i < lines; i++)
            at += bytes.AsSpan(at).IndexOf((byte)'\n') + 1;
        return bytes[..at];
    }

    /// <param name="change">Of the second segment's lines and the others', which keep their files.</param>
    private static IEnumerable<(string Name, byte[] Bytes)> Split(
        List<byte[]> lines, Action<List<byte[]>>? change = null)
    {
        List<byte[]> first = lines[..SegmentLengths[0]];
        List<byte[]> last = lines[^SegmentLengths[2]..];
        List<byte[]> changed = [.. lines];
        change?.Invoke(changed);
        List<byte[]> second = changed[SegmentLengths[0]..^SegmentLengths[2]];
        return [("audit-1.log", Joined(first)), ("audit-6.log", Joined(second)), ("audit.log", Joined(last))];
    }

    private static byte[] Joined(List<byte[]> lines) => [.. lines.SelectMany(l => l)];

    private sealed record History(List<byte[]> Lines, List<AuditPoint> Points)
    {
        public AuditPoint At(int seq) => Points[seq - 1];
    }
}
