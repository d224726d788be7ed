using LicenseAgent.Core;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

public sealed class StateFilesTests : IDisposable
{
    private readonly ScratchState _scratch = new();
    private readonly StateFiles _files;

    public StateFilesTests() => _files = _scratch.Open();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _files.Dispose();
        _scratch.Dispose();
    }

    [Fact]
    public async Task A_write_over_an_existing_name_replaces_the_file_as_a_whole()
    {
        await _files.WriteAsync("run.json", "a long content"u8.ToArray(), Cancel);
        await using var before = File.OpenRead(_scratch["run.json"]);
        await _files.WriteAsync("run.json", "short"u8.ToArray(), Cancel);
        Assert.Equal("short", await File.ReadAllTextAsync(_scratch["run.json"], Cancel));
        Assert.Equal("a long content", await new StreamReader(before).ReadToEndAsync(Cancel));
    }

    [Fact]
    public async Task Files_are_for_their_owner_alone()
    {
        await _files.WriteAsync("a", "1"u8.ToArray(), Cancel);
        await _files.ReplaceAsync("secrets/b", "2"u8.ToArray(), Cancel);
        Assert.Equal(ScratchState.OwnerOnly, File.GetUnixFileMode(_scratch["a"]));
        Assert.Equal(ScratchState.OwnerOnly, File.GetUnixFileMode(_scratch["secrets/b"]));
        Assert.Equal(
            ScratchState.OwnerOnly | UnixFileMode.UserExecute, File.GetUnixFileMode(_scratch["secrets"]));
    }

    [Fact]
    public async Task A_rename_of_what_is_not_there_fails()
    {
        var error = await Assert.ThrowsAsync<StorageException>(() => _files.RenameAsync("a", "b", Cancel));
        Assert.Contains(_scratch["a"], error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_erased_file_is_gone_and_its_bytes_were_overwritten()
    {
        await _files.WriteAsync("secrets/v1.jws", "confidential"u8.ToArray(), Cancel);
        await using var held = File.OpenRead(_scratch["secrets/v1.jws"]);
        await _files.EraseAsync("secrets/v1.jws", Cancel);
        Assert.False(File.Exists(_scratch["secrets/v1.jws"]));
        byte[] left = new byte[12];
        await held.ReadExactlyAsync(left, Cancel);
        Assert.Equal(new byte[12], left);
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("/etc/passwd")]
    [InlineData("secrets/../x")]
    [InlineData("secrets//x")]
    [InlineData("secrets/a/b")]
    [InlineData("other/x")]
    [InlineData("..")]
    [InlineData(".hidden")]
    [InlineData("secrets/")]
    [InlineData("")]
    [InlineData("a\0b")]
    public async Task A_name_that_leads_elsewhere_is_refused(string name)
    {
        await Assert.ThrowsAsync<InvariantBroken>(() => _files.ReadAsync(name, Cancel));
        await Assert.ThrowsAsync<InvariantBroken>(() => _files.WriteAsync(name, new byte[1], Cancel));
        await Assert.ThrowsAsync<InvariantBroken>(() => _files.EraseAsync(name, Cancel));
    }

    [Fact]
    public async Task A_link_in_the_place_of_a_file_is_not_followed()
    {
        string outside = _scratch.Path + "-outside";
        await File.WriteAllTextAsync(outside, "untouched", Cancel);
        File.CreateSymbolicLink(_scratch["state.json"], outside);
        await Assert.ThrowsAsync<StorageException>(() => _files.ReadAsync("state.json", Cancel));
        await Assert.ThrowsAsync<StorageException>(() => _files.EraseAsync("state.json", Cancel));
        await _files.ReplaceAsync("state.json", "new"u8.ToArray(), Cancel);
        Assert.Equal("untouched", await File.ReadAllTextAsync(outside, Cancel));
        Assert.Null(new FileInfo(_scratch["state.json"]).LinkTarget);
    }

    [Fact]
    public async Task A_file_over_the_limit_is_refused()
    {
        await using (var file = File.Create(_scratch["run.json"]))
            file.SetLength(16 * 1024 * 1024 + 1);
        var error = await Assert.ThrowsAsync<StorageException>(() => _files.ReadAsync("run.json", Cancel));
        Assert.Equal("too_large", error.Reason);
    }

    [Fact]
    public async Task All_calls_run_in_order_on_one_thread_of_that_name()
    {
        var calls = Enumerable.Range(0, 40).Select(i => _files.ReplaceAsync("run.json", new[] { (byte)i }, Cancel));
        await Task.WhenAll(calls.ToList());
        Assert.Equal([39], await _files.ReadAsync("run.json", Cancel));
        string[] names = [.. Directory.EnumerateDirectories("/proc/self/task").Select(ThreadName)];
        Assert.Contains("storage", names);
    }

    [Fact]
    public async Task A_cancelled_call_leaves_no_trace()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => _files.WriteAsync("a", new byte[1], new CancellationToken(canceled: true)));
        Assert.Equal(["secrets"], _scratch.Names());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/secrets")]
    public void A_directory_that_others_may_write_is_refused(string below)
    {
        string path = _scratch.Path + below;
        File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.GroupWrite);
        Assert.Equal("unsafe_directory", Assert.Throws<StorageException>(() => _scratch.Open().Dispose()).Reason);
    }

    [Fact]
    public void A_link_in_the_place_of_the_secrets_directory_is_refused()
    {
        Directory.Delete(_scratch["secrets"]);
        Directory.CreateSymbolicLink(_scratch["secrets"], "/tmp");
        Assert.Equal("unsafe_path", Assert.Throws<StorageException>(() => _scratch.Open().Dispose()).Reason);
    }

    [Fact]
    public void A_second_agent_on_the_same_state_is_turned_away_until_the_first_is_gone()
    {
        var first = InstanceLock.TryTake(_scratch.Path);
        Assert.NotNull(first);
        Assert.Null(InstanceLock.TryTake(_scratch.Path));
        first.Dispose();
        using var next = InstanceLock.TryTake(_scratch.Path + "/");
        Assert.NotNull(next);
    }

    // A thread may end between listing and reading; its name is of no interest then.
    private static string ThreadName(string task)
    {
        try
        {
            return File.ReadAllText(task + "/comm").Trim();
        }
        catch (IOException)
        {
            return "";
        }
    }
}
