using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>
/// The place of a listening socket: a directory that nobody else can write, so that the path cannot be swapped between
/// check and use, and a name that is free or a dead socket of our own.
/// </summary>
internal static partial class SocketPath
{
    private const UnixFileMode DirectoryMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private const UnixFileMode SocketMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    // sun_path holds 108 bytes with its terminator (unix(7)).
    private const int PathBytesMax = 107;

    /// <summary>Binds a socket at the path, open to every UID: who the peer is, not the mode, is the control.</summary>
    public static Socket Bind(string path)
    {
        if (!Path.IsPathRooted(path) || Encoding.UTF8.GetByteCount(path) > PathBytesMax)
            throw Refused("socket_path", $"{path}: a socket needs an absolute path of at most {PathBytesMax} bytes.");
        PrepareDirectory(Path.GetDirectoryName(path)!);
        RemoveDeadSocket(path);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));

            // By path and not by umask: that belongs to the whole process, and another thread may be making files now.
            File.SetUnixFileMode(path, SocketMode);
            return socket;
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw Refused("socket_bind", $"{path}: cannot listen here: {e.Message}", e);
        }
    }

    private static void PrepareDirectory(string directory)
    {
        if (FileStatus.Of(directory) is null)
        {
            Directory.CreateDirectory(directory, DirectoryMode);
            File.SetUnixFileMode(directory, DirectoryMode);
        }

        FileStatus status = FileStatus.Of(directory) ?? throw Refused("socket_directory", $"{directory} vanished.");
        if (!status.IsDirectory)
            throw Refused("socket_directory", $"{directory} is no directory (a link counts as none): remove it.");
        if (status.Uid != 0 && status.Uid != EffectiveUid())
            throw Refused("socket_directory", $"{directory} belongs to UID {status.Uid}: give it to the agent's.");
        if (status.OthersCanWrite)
            throw Refused("socket_directory", $"{directory} is writable for others: chmod 0755 it.");
    }

    private static void RemoveDeadSocket(string path)
    {
        if (FileStatus.Of(path) is not { } status)
            return;
        if (!status.IsSocket || status.Uid != EffectiveUid())
            throw Refused("socket_squatted", $"{path} exists and is not a socket of this agent: remove it.");
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
            return;
        }

        throw Refused("socket_in_use", $"{path} is served by another process: stop that one.");
    }

    private static StorageException Refused(string reason, string message, Exception? inner = null) =>
        new(reason, message, inner);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUid();

    /// <summary>What lstat says, read through statx, whose layout is the same on every architecture.</summary>
    private readonly record struct FileStatus(ushort Mode, uint Uid)
    {
        private const int AtFdCwd = -100, AtSymlinkNoFollow = 0x100, TypeModeAndUid = 0x1 | 0x2 | 0x8;
        private const int UidOffset = 20, ModeOffset = 28, StatxBytes = 256, NoEntry = 2;

        public bool IsDirectory => (Mode & 0xF000) == 0x4000;

        public bool IsSocket => (Mode & 0xF000) == 0xC000;

        public bool OthersCanWrite => (Mode & 0x12) != 0;

        public static FileStatus? Of(string path)
        {
            Span<byte> statx = stackalloc byte[StatxBytes];
            int result = Statx(AtFdCwd, path, AtSymlinkNoFollow, TypeModeAndUid, statx);
            int error = Marshal.GetLastPInvokeError();
            if (result != 0)
            {
                return error == NoEntry
                    ? null
                    : throw Refused("socket_path", $"{path}: {new Win32Exception(error).Message}.");
            }
            return new FileStatus(
                MemoryMarshal.Read<ushort>(statx[ModeOffset..]), MemoryMarshal.Read<uint>(statx[UidOffset..]));
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, Span<byte> into);
}
