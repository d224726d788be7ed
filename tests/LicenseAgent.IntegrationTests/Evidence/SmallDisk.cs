using System.Diagnostics;
using LicenseAgent.IntegrationTests.EndToEnd;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>A file system of 256 KiB under a till's log directory, which a test fills and frees. Needs root.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private readonly string _folder;

    private SmallDisk(string folder) => _folder = folder;

    private string Ballast => Path.Combine(_folder, "ballast");

    /// <summary>Stops the agent, puts its log on the small disk and starts it again.</summary>
    public static async Task<SmallDisk> UnderLogsAsync(LiveTill till)
    {
        Assert.Equal(0, await till.StopAgentAsync());
        string folder = till.Folder.Logs;
        string aside = folder + ".aside";
        Directory.Move(folder, aside);
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=256k,mode=0750", "none", folder);
        var disk = new SmallDisk(folder);
        try
        {
            foreach (string path in Directory.EnumerateFiles(aside))
                File.Copy(path, Path.Combine(folder, Path.GetFileName(path)));
            await till.RestartAgentAsync();
            return disk;
        }
        catch (Exception)
        {
            await disk.DisposeAsync();
            throw;
        }
    }

    /// <summary>Not a byte is left.</summary>
    public void Fill()
    {
        using FileStream ballast = new(Ballast, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        try
        {
            while (true)
                ballast.Write(new byte[4096]);
        }
        catch (IOException)
        {
            // It is full, as wanted. The last page of the log itself may have room for a line or two.
        }
    }

    public void MakeRoom() => File.Delete(Ballast);

    public async ValueTask DisposeAsync() => await RunAsync("umount", "-l", _folder);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        await process.WaitForExitAsync(CancellationToken.None);
        Assert.Equal(0, process.ExitCode);
    }
}
