using System.Text;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.ContractTests.Contracts;

/// <summary>Where a call of <see cref="IStateFiles"/> fails.</summary>
public enum DiskFault
{
    /// <summary>The content finds no room.</summary>
    Full,

    /// <summary>fsync of the content.</summary>
    ContentSync,

    /// <summary>The new name, or the end of one.</summary>
    Entry,

    /// <summary>fsync of the directory.</summary>
    DirectorySync,

    /// <summary>What is there cannot be read.</summary>
    Read,
}

/// <summary>
/// What the state relies on: the real file system, with a kernel that fails at a call, and the simulated disk keep it
/// alike.
/// </summary>
public abstract class StateFilesContract
{
    private protected abstract IStateFiles Files { get; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_missing_file_reads_as_null() => Assert.Null(await Files.ReadAsync("state.json", Cancel));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(300_000)]
    public async Task What_was_written_is_read_back(int length)
    {
        byte[] content = new byte[length];
        new Random(length).NextBytes(content);
        await Files.WriteAsync("state.json.new", content, Cancel);
        await Files.ReplaceAsync("secrets/v7.jws", content, Cancel);
        Assert.Equal(content, await Files.ReadAsync("state.json.new", Cancel));
        Assert.Equal(content, await Files.ReadAsync("secrets/v7.jws", Cancel));
    }

    [Fact]
    public async Task A_write_over_an_existing_name_replaces_the_file_as_a_whole()
    {
        await Files.WriteAsync("run.json", "a long content"u8.ToArray(), Cancel);
        await Files.WriteAsync("run.json", "short"u8.ToArray(), Cancel);
        Assert.Equal("short", await ReadAsync("run.json"));
        Assert.Equal(["run.json"], Names());
    }

    [Fact]
    public async Task A_replace_leaves_no_temporary_file_and_takes_over_one_of_a_crash()
    {
        Put("state.json.tmp", "left by a crash"u8.ToArray());
        await Files.ReplaceAsync("state.json", "new"u8.ToArray(), Cancel);
        Assert.Equal(["state.json"], Names());
    }

    [Fact]
    public async Task A_rename_takes_the_place_of_the_target()
    {
        await Files.WriteAsync("state.json", "old"u8.ToArray(), Cancel);
        await Files.WriteAsync("state.json.new", "new"u8.ToArray(), Cancel);
        await Files.RenameAsync("state.json.new", "state.json", Cancel);
        Assert.Equal("new", await ReadAsync("state.json"));
        Assert.Equal(["state.json"], Names());
    }

    [Fact]
    public async Task A_rename_of_what_is_not_there_fails_and_changes_nothing()
    {
        await Files.WriteAsync("b", "old"u8.ToArray(), Cancel);
        await Assert.ThrowsAsync<StorageException>(() => Files.RenameAsync("a", "b", Cancel));
        Assert.Equal("old", await ReadAsync("b"));
    }

    [Fact]
    public async Task An_erased_file_is_gone_and_erasing_it_again_is_fine()
    {
        await Files.WriteAsync("secrets/v1.jws", "confidential"u8.ToArray(), Cancel);
        await Files.EraseAsync("secrets/v1.jws", Cancel);
        Assert.Null(await Files.ReadAsync("secrets/v1.jws", Cancel));
        Assert.Empty(Names());
        await Files.EraseAsync("secrets/v1.jws", Cancel);
    }

    /// <summary>
    /// state.json holds "old" and state.json.bak "bak"; "the new content" is written or put in place, the backup renamed
    /// over it, or state.json erased, or read.
    /// </summary>
    [Theory]
    [InlineData("write", DiskFault.Full, "disk_full", "state.json=old state.json.bak=bak")]
    [InlineData("write", DiskFault.ContentSync, "io_error", "state.json=old state.json.bak=bak")]
    [InlineData("write", DiskFault.DirectorySync, "io_error", "state.json=old state.json.bak=bak state.json.new=the new content")]
    [InlineData("replace", DiskFault.Full, "disk_full", "state.json=old state.json.bak=bak")]
    [InlineData("replace", DiskFault.ContentSync, "io_error", "state.json=old state.json.bak=bak")]
    [InlineData(
        "replace", DiskFault.Entry, "io_error", "state.json=old state.json.bak=bak state.json.tmp=the new content")]
    [InlineData("replace", DiskFault.DirectorySync, "io_error", "state.json=the new content state.json.bak=bak")]
    [InlineData("rename", DiskFault.Entry, "io_error", "state.json=old state.json.bak=bak")]
    [InlineData("rename", DiskFault.DirectorySync, "io_error", "state.json=bak")]
    [InlineData("erase", DiskFault.Full, "disk_full", "state.json.bak=bak")]
    [InlineData("erase", DiskFault.ContentSync, "io_error", "state.json.bak=bak")]
    [InlineData("erase", DiskFault.Entry, "io_error", "state.json=\0\0\0 state.json.bak=bak")]
    [InlineData("erase", DiskFault.DirectorySync, "io_error", "state.json.bak=bak")]
    [InlineData("read", DiskFault.Read, "io_error", "state.json=old state.json.bak=bak")]
    public async Task A_call_that_fails_says_so_and_leaves_whole_files(
        string call, DiskFault fault, string reason, string left)
    {
        await Files.WriteAsync("state.json", "old"u8.ToArray(), Cancel);
        await Files.WriteAsync("state.json.bak", "bak"u8.ToArray(), Cancel);
        Assert.Equal(reason, await FailAsync(call, fault));
        List<string> found = [];
        foreach (string name in Names())
            found.Add($"{name}={await ReadAsync(name)}");
        Assert.Equal(left, string.Join(' ', found));
    }

    /// <summary>Somebody else's file, put there while no call runs.</summary>
    private protected abstract void Put(string name, byte[] content);

    /// <summary>Every file, sorted; directories are not told.</summary>
    private protected abstract string[] Names();

    /// <summary>
    /// Makes the call <c>write</c> (state.json.new), <c>replace</c> (state.json), <c>rename</c> (state.json.bak to
    /// state.json), <c>erase</c> or <c>read</c> (state.json) on a disk that fails there, once.
    /// </summary>
    /// <returns>The reason of its <see cref="StorageException"/>.</returns>
    private protected abstract Task<string> FailAsync(string call, DiskFault fault);

    private async Task<string> ReadAsync(string name) =>
        Encoding.ASCII.GetString((await Files.ReadAsync(name, Cancel))!);
}
