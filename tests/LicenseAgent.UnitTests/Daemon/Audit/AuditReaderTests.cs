using LicenseAgent.Daemon.Audit;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Protocol.Audit;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

public sealed class AuditReaderTests
{
    private const int Records = 2_000;

    private readonly LogText _log = new LogText().AddMany(Records);
    private readonly DiskOfAudit _disk = new();
    private readonly AuditReader _reader;

    public AuditReaderTests()
    {
        _disk.Content = _log.Bytes;
        _reader = new AuditReader(_disk, () => new AuditExtent(1, _disk.Content.Length));
    }

    [Fact]
    public void Every_record_is_found_by_its_number_with_the_hash_it_has_now()
    {
        var chain = new LogText();
        for (int seq = 1; seq <= Records; seq++)
        {
            chain.Add();
            if (seq % 37 == 0 || seq is 1 or Records)
                Assert.Equal(new AuditPoint(seq, chain.End.Head), _reader.Point(seq));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(Records + 1)]
    [InlineData(-5)]
    public void A_record_that_is_not_there_is_not_found(long seq) => Assert.Null(_reader.Point(seq));

    [Fact]
    public void A_record_that_was_altered_has_another_hash()
    {
        byte[] content = _disk.Content;
        int at = content.AsSpan().IndexOf("\"seq\":700,"u8) + 30;
        content[at] = content[at] == '1' ? (byte)'2' : (byte)'1';
        AuditPoint before = _reader.Point(700)!;
        _disk.Content = content;
        Assert.NotEqual(before.Head, _reader.Point(700)!.Head);
    }

    [Fact]
    public void A_record_behind_the_whole_lines_is_not_found_yet()
    {
        int length = _disk.Content.Length - _log.Lines[^1].Length;
        Assert.Null(new AuditReader(_disk, () => new AuditExtent(1, length)).Point(Records));
    }

    [Fact]
    public void Pages_go_through_the_log_without_gap_and_end()
    {
        long after = 0;
        var seen = new List<long>();
        for (AuditPage page; ; after = page.Next.Value)
        {
            page = _reader.Page(after, 300);
            seen.AddRange(page.Records.Select(r => r.GetProperty("seq").GetInt64()));
            if (page.Next is null)
                break;
        }
        Assert.Equal(Enumerable.Range(1, Records).Select(i => (long)i), seen);
    }

    [Fact]
    public void A_page_that_ends_with_the_log_names_no_next() =>
        Assert.Null(_reader.Page(Records - 10, 10).Next);

    [Fact]
    public void A_page_begins_behind_the_number_it_is_asked_for()
    {
        AuditPage page = _reader.Page(1_234, 2);
        Assert.Equal([1_235, 1_236], page.Records.Select(r => r.GetProperty("seq").GetInt64()));
        Assert.Equal(1_236, page.Next);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(1_000)]
    [InlineData(1_000_000)]
    public void Backwards_every_line_comes_once_whatever_the_chunk(int chunk)
    {
        _disk.Content = _disk.Content[..200_000];
        int whole = _disk.Content.AsSpan().LastIndexOf((byte)'\n') + 1;
        string[] expected = System.Text.Encoding.UTF8.GetString(_disk.Content, 0, whole - 1).Split('\n');
        var lines = new BackwardLines(_disk, _disk.Segments(), chunk);
        var seen = new List<string>();
        while (lines.MoveNext())
            seen.Add(System.Text.Encoding.UTF8.GetString(lines.Current));
        Assert.Equal(expected.Reverse(), seen);
    }

    [Fact]
    public void Backwards_a_line_longer_than_any_record_is_passed_in_bounded_memory()
    {
        _disk.Content = [.. "first\n"u8, .. new byte[300_000], .. "\nlast\n"u8];
        var lines = new BackwardLines(_disk, _disk.Segments(), 1_000);
        Assert.True(lines.MoveNext());
        Assert.True(lines.Current.SequenceEqual("last"u8));
        Assert.True(lines.MoveNext());
        Assert.True(lines.MoveNext());
        Assert.True(lines.Current.SequenceEqual("first"u8));
        Assert.False(lines.MoveNext());
    }
}
