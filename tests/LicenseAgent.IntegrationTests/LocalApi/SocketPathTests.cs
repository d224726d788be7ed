using System.Net.Sockets;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Adapters.Kestrel;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.IntegrationTests.LocalApi;

public sealed class SocketPathTests : IDisposable
{
    private const UnixFileMode Everybody = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead
        | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private readonly string _home = Directory.CreateTempSubdirectory("lsa-path-").FullName;

    public void Dispose() => Directory.Delete(_home, recursive: true);

    [Fact]
    public void A_missing_directory_is_made_0755_and_the_socket_0666()
    {
        string path = Path.Combine(_home, "run", "pos.sock");
        using Socket socket = SocketPath.Bind(path);
        Assert.Equal(Everybody, File.GetUnixFileMode(path));
        Assert.Equal("rwxr-xr-x", Text(File.GetUnixFileMode(Path.GetDirectoryName(path)!)));
    }

    [Theory]
    [InlineData("file", "socket_squatted")]
    [InlineData("link", "socket_squatted")]
    [InlineData("directory", "socket_squatted")]
    [InlineData("pipe", "socket_squatted")]
    [InlineData("link to a live socket", "socket_squatted")]
    [InlineData("live socket", "socket_in_use")]
    [InlineData("foreign socket", "socket_squatted")]
    [InlineData("directory is a link", "socket_directory")]
    [InlineData("directory for everybody", "socket_directory")]
    [InlineData("directory for its group", "socket_directory")]
    [InlineData("sticky directory for everybody", "socket_directory")]
    [InlineData("file instead of the directory", "socket_directory")]
    [InlineData("foreign directory", "socket_directory")]
    [InlineData("long path", "socket_path")]
    [InlineData("relative path", "socket_path")]
    public void An_unsafe_place_is_refused(string what, string reason)
    {
        using var live = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        string path = Place(what, live);
        string[] before = Directory.GetFileSystemEntries(_home, "*", SearchOption.AllDirectories);

        StorageException refused = Assert.Throws<StorageException>(() => SocketPath.Bind(path));

        Assert.Equal(reason, refused.Reason);
        Assert.Equal(before, Directory.GetFileSystemEntries(_home, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public void A_dead_socket_of_our_own_is_replaced()
    {
        string path = Path.Combine(_home, "pos.sock");
        Run("python3", "-c", $"import socket; socket.socket(socket.AF_UNIX).bind('{path}')");
        Assert.True(File.Exists(path));
        using Socket socket = SocketPath.Bind(path);
        Assert.Equal(Everybody, File.GetUnixFileMode(path));
    }

    [Fact]
    public async Task The_socket_goes_with_the_server()
    {
        LiveSockets sockets = await LiveSockets.StartAsync();
        string path = sockets.Pos;
        Assert.True(File.Exists(path));
        await sockets.StopAsync();
        Assert.False(File.Exists(path));
        await sockets.DisposeAsync();
    }

    private string Place(string what, Socket live)
    {
        string path = Path.Combine(_home, "pos.sock");
        string directory = Path.Combine(_home, "run");
        switch (what)
        {
            case "file":
                File.WriteAllText(path, "mine");
                return path;
            case "link":
                File.CreateSymbolicLink(path, "/etc/passwd");
                return path;
            case "directory":
                Directory.CreateDirectory(path);
                return path;
            case "pipe":
                Run("mkfifo", path);
                return path;
            case "link to a live socket":
                live.Bind(new UnixDomainSocketEndPoint(path + ".live"));
                live.Listen();
                File.CreateSymbolicLink(path, path + ".live");
                return path;
            case "live socket":
                live.Bind(new UnixDomainSocketEndPoint(path));
                live.Listen();
                return path;
            case "foreign socket":
                live.Bind(new UnixDomainSocketEndPoint(path));
                Run("chown", "1002", path);
                return path;
            case "directory is a link":
                Directory.CreateSymbolicLink(directory, _home);
                return Path.Combine(directory, "pos.sock");
            case "directory for everybody":
                Directory.CreateDirectory(directory);
                Run("chmod", "0777", directory);
                return Path.Combine(directory, "pos.sock");
            case "directory for its group" or "sticky directory for everybody":
                Directory.CreateDirectory(directory);
                Run("chmod", what[0] == 's' ? "1777" : "0775", directory);
                return Path.Combine(directory, "pos.sock");
            case "file instead of the directory":
                File.WriteAllText(directory, "");
                return Path.Combine(directory, "pos.sock");
            case "foreign directory":
                Directory.CreateDirectory(directory);
                Run("chown", "1002", directory);
                return Path.Combine(directory, "pos.sock");
            case "long path":
                return Path.Combine(_home, new string('x', 108));
            default:
                return "pos.sock";
        }
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    private static string Text(UnixFileMode mode) => string.Concat(
        Enumerable.Range(0, 9).Select(i => ((int)mode & (1 << (8 - i))) != 0 ? "rwx"[i % 3] : '-'));
}
