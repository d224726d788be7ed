using System.Diagnostics;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.ContractTests.Audit;

/// <summary>What only a real file system has: modes, links, other people's files, and a disk that is full.</summary>
public sealed class AuditFileTests : IDisposable
{
    private readonly ScratchLogs _scratch = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Every_file_of_the_log_is_readable_by_its_group_and_by_nobody_else()
    {
        const UnixFileMode Expected = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
        using AuditFile file = _scratch.Open();
        Assert.Equal(Expected, File.GetUnixFileMode(_scratch.Log));
        file.Append("one\n"u8);
        await file.CutAsync(4, rewrite: true);
        Assert.Equal(Expected, File.GetUnixFileMode(_scratch.Log));
        await file.CloseAsync("chain-x.log");
        Assert.Equal(Expected, File.GetUnixFileMode(_scratch.Log));
        Assert.Equal(Expected, File.GetUnixFileMode(_scratch.Folder + "/chain-x.log"));
    }

    [Fact]
    public void A_mode_that_somebody_narrowed_is_left_alone()
    {
        _scratch.Open().Dispose();
        File.SetUnixFileMode(_scratch.Log, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        _scratch.Open().Dispose();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_scratch.Log));
    }

    [Fact]
    public void Appends_go_to_the_end_whoever_else_writes()
    {
        using AuditFile file = _scratch.Open();
        file.Append("one\n"u8);
        File.AppendAllText(_scratch.Log, "other\n");
        file.Append("two\n"u8);
        Assert.Equal("one\nother\ntwo\n", File.ReadAllText(_scratch.Log));
    }

    [Fact]
    public void A_log_that_is_a_link_is_refused()
    {
        _scratch.Open().Dispose();
        File.Move(_scratch.Log, _scratch.Log + ".real");
        File.CreateSymbolicLink(_scratch.Log, _scratch.Log + ".real");
        Assert.Equal("unsafe_path", Assert.Throws<StorageException>(_scratch.Open).Reason);
    }

    [Fact]
    public void A_directory_that_others_can_write_is_refused()
    {
        _scratch.Open().Dispose();
        File.SetUnixFileMode(_scratch.Folder, File.GetUnixFileMode(_scratch.Folder) | UnixFileMode.OtherWrite);
        Assert.Equal("unsafe_directory", Assert.Throws<StorageException>(_scratch.Open).Reason);
    }

    [Fact]
    public async Task A_name_left_by_a_crash_while_closing_is_the_same_file_and_no_obstacle()
    {
        using AuditFile file = _scratch.Open();
        file.Append("one\n"u8);
        using (Process link = Process.Start("ln", [_scratch.Log, _scratch.Folder + "/chain-x.log"]))
            await link.WaitForExitAsync(Cancel);
        await file.CloseAsync("chain-x.log");
        Assert.Equal("", await File.ReadAllTextAsync(_scratch.Log, Cancel));
        Assert.Equal("one\n", await File.ReadAllTextAsync(_scratch.Folder + "/chain-x.log", Cancel));
    }

    [Fact]
    public async Task An_fsync_that_the_kernel_refuses_is_a_failure()
    {
        // A pipe can be opened for append and written, and cannot be fsynced: EINVAL.
        Directory.CreateDirectory(_scratch.Folder);
        using (Process pipe = Process.Start("mkfifo", [_scratch.Log]))
            await pipe.WaitForExitAsync(Cancel);
        using AuditFile file = _scratch.Open();
        file.Append("one\n"u8);
        var failure = await Assert.ThrowsAsync<StorageException>(file.SyncAsync);
        Assert.Contains("fsync", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task On_a_full_disk_a_beginning_is_left_that_can_be_cut_and_room_lets_it_go_on()
    {
        Directory.CreateDirectory(_scratch.Folder);
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=64k,mode=0750", "none", _scratch.Folder);
        try
        {
            using AuditFile file = _scratch.Open();
            file.Append("one\n"u8);
            byte[] ballast = new byte[32 * 1024];
            await File.WriteAllBytesAsync(_scratch.Folder + "/ballast", ballast, Cancel);
            byte[] lines = [.. Enumerable.Repeat((byte)'x', 50_000)];
            Assert.Equal("disk_full", Assert.Throws<StorageException>(() => file.Append(lines)).Reason);
            Assert.InRange(new FileInfo(_scratch.Log).Length, 5, 50_000);
            await file.CutAsync(4, rewrite: false);
            File.Delete(_scratch.Folder + "/ballast");
            file.Append("two\n"u8);
            Assert.Equal("one\ntwo\n", await File.ReadAllTextAsync(_scratch.Log, Cancel));
        }
        finally
        {
            await RunAsync("umount", _scratch.Folder);
        }
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        await process.WaitForExitAsync(CancellationToken.None);
        Assert.Equal(0, process.ExitCode);
    }
}
