using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.ContractTests.Contracts;

/// <summary>What the audit log relies on: the real file system and the simulated disks keep it alike.</summary>
public abstract class AuditFileContract
{
    private const string Newest = "audit.log";

    private protected abstract IAuditFile File { get; }

    [Fact]
    public void A_new_log_is_one_empty_file() =>
        Assert.Equal([new AuditSegment(Newest, 0)], File.Segments());

    [Fact]
    public void What_was_appended_is_read_back_in_order_from_any_offset()
    {
        File.Append("one\n"u8);
        File.Append("two\n"u8);
        Assert.Equal("one\ntwo\n", Read(0));
        Assert.Equal("e\ntwo\n", Read(2));
        Assert.Equal("", Read(8));
        Assert.Equal("", Read(1_000));
        Assert.Equal([new AuditSegment(Newest, 8)], File.Segments());
    }

    [Fact]
    public async Task An_fsync_of_a_good_disk_succeeds()
    {
        File.Append("one\n"u8);
        await File.SyncAsync();
        Assert.Equal("one\n", Read(0));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cut_leaves_the_beginning_and_appends_go_on_behind_it(bool rewrite)
    {
        File.Append("one\ntwo\nthr"u8);
        await File.CutAsync(8, rewrite);
        Assert.Equal("one\ntwo\n", Read(0));
        File.Append("four\n"u8);
        Assert.Equal("one\ntwo\nfour\n", Read(0));
    }

    [Fact]
    public async Task A_closed_file_keeps_its_content_and_an_empty_one_takes_its_place()
    {
        File.Append("one\n"u8);
        await File.CloseAsync("audit-1.log");
        File.Append("two\n"u8);
        await File.CloseAsync("audit-2.log");
        File.Append("three\n"u8);
        AuditSegment[] expected = [new("audit-1.log", 4), new("audit-2.log", 4), new(Newest, 6)];
        Assert.Equal(expected, File.Segments());
        Assert.Equal("one\n", Read(0, "audit-1.log"));
        Assert.Equal("three\n", Read(0));
    }

    [Fact]
    public async Task Files_set_aside_come_before_the_segments_of_the_chain()
    {
        File.Append("one\n"u8);
        await File.CloseAsync("audit-1.log");
        File.Append("two\n"u8);
        await File.CloseAsync("chain-x.log");
        Assert.Equal(["chain-x.log", "audit-1.log", Newest], File.Segments().Select(s => s.Name));
    }

    [Fact]
    public async Task A_name_that_another_file_has_is_not_taken_from_it()
    {
        File.Append("one\n"u8);
        await File.CloseAsync("chain-x.log");
        File.Append("two\n"u8);
        var failure = await Assert.ThrowsAsync<StorageException>(() => File.CloseAsync("chain-x.log"));
        Assert.Equal("audit_name_taken", failure.Reason);
        Assert.Equal("one\n", Read(0, "chain-x.log"));
        Assert.Equal("two\n", Read(0));
    }

    [Fact]
    public async Task A_closed_file_is_renamed_and_removed_and_one_that_is_not_there_is_no_failure()
    {
        File.Append("one\n"u8);
        await File.CloseAsync("audit-1.log");
        await File.MoveAsync("audit-1.log", "chain-x.log");
        Assert.Equal("one\n", Read(0, "chain-x.log"));
        await File.MoveAsync("audit-1.log", "chain-y.log");
        await File.MoveAsync("chain-x.log", null);
        await File.MoveAsync("chain-x.log", null);
        Assert.Equal([new AuditSegment(Newest, 0)], File.Segments());
    }

    [Fact]
    public async Task A_file_that_is_renamed_takes_the_place_of_another()
    {
        File.Append("one\n"u8);
        await File.CloseAsync("audit-1.log");
        File.Append("two\n"u8);
        await File.CloseAsync("chain-left-1.log");
        await File.MoveAsync("audit-1.log", "chain-left-1.log");
        Assert.Equal("one\n", Read(0, "chain-left-1.log"));
    }

    [Fact]
    public async Task A_closed_file_taken_back_is_written_on()
    {
        File.Append("one\n"u8);
        await File.CloseAsync("audit-1.log");
        await File.MoveAsync("audit-1.log", Newest);
        File.Append("two\n"u8);
        await File.SyncAsync();
        Assert.Equal("one\ntwo\n", Read(0));
        Assert.Equal([new AuditSegment(Newest, 8)], File.Segments());
    }

    private string Read(long offset, string segment = Newest)
    {
        byte[] into = new byte[100];
        return System.Text.Encoding.ASCII.GetString(into, 0, File.Read(segment, offset, into));
    }
}
