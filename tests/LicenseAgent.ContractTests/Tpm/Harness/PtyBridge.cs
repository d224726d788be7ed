using System.Net.Sockets;
using System.Runtime.InteropServices;
using LicenseAgent.Testbed.Tpm;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>
/// A character device in front of an swtpm: the far end of a raw pseudo-terminal. Like /dev/tpm0 it is opened by path,
/// written, polled and read; build machines have no TPM driver.
/// </summary>
internal sealed partial class PtyBridge : IAsyncDisposable
{
    private const int ReadWriteNoTerminal = 0x2 | 0x100;
    private const int TermiosRoom = 256;
    private const int NameRoom = 64;
    private const uint SetExclusive = 0x540C, ClearExclusive = 0x540D; // TIOCEXCL, TIOCNXCL, ioctl_tty(2)

    private readonly SafeFileHandle _master;
    private readonly SafeFileHandle _keepOpen;
    private readonly string _path;
    private Socket? _tpm;
    private Thread? _toTpm, _fromTpm;

    private PtyBridge(SafeFileHandle master, SafeFileHandle keepOpen, string path) =>
        (_master, _keepOpen, _path) = (master, keepOpen, path);

    public string Device => $"device:{_path}";

    public static PtyBridge Start(SwtpmProcess swtpm)
    {
        PtyBridge bridge = Open();
        bridge.Attach(swtpm);
        return bridge;
    }

    /// <summary>A device behind which there is no TPM yet.</summary>
    public static PtyBridge Open()
    {
        var master = PosixOpenPt(ReadWriteNoTerminal);
        Require(master, "posix_openpt");
        Require(GrantPt(master), "grantpt");
        Require(UnlockPt(master), "unlockpt");
        var name = new byte[NameRoom];
        Require(PtsNameR(master, name, NameRoom) == 0 ? 0 : -1, "ptsname_r");
        var path = System.Text.Encoding.ASCII.GetString(name).TrimEnd('\0');

        // Raw: no echo, no line discipline. Kept open, so that a client that goes is no hang-up.
        var slave = Open(path, ReadWriteNoTerminal);
        Require(slave, "open");
        var termios = new byte[TermiosRoom];
        Require(TcGetAttr(slave, termios), "tcgetattr");
        CfMakeRaw(termios);
        Require(TcSetAttr(slave, 0, termios), "tcsetattr");
        return new PtyBridge(new SafeFileHandle(master, true), new SafeFileHandle(slave, true), path);
    }

    public void Attach(SwtpmProcess swtpm)
    {
        _tpm = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _tpm.Connect(new UnixDomainSocketEndPoint(swtpm.SocketPath));
        _toTpm = new Thread(() => ToTpm(_tpm)) { IsBackground = true };
        _fromTpm = new Thread(() => FromTpm(_tpm)) { IsBackground = true };
        _toTpm.Start();
        _fromTpm.Start();
    }

    /// <summary>
    /// Another program has the device to itself, as with /dev/tpm0: opening it is EBUSY, but for CAP_SYS_ADMIN.
    /// </summary>
    public void Hold() => Require(IoCtl(_keepOpen, SetExclusive), "ioctl");

    public void LetGo() => Require(IoCtl(_keepOpen, ClearExclusive), "ioctl");

    /// <summary>Whoever has opened the device has to be gone before: the far end reads until the last one has.</summary>
    public ValueTask DisposeAsync()
    {
        // Closing the last user end makes the master's read fail, which ends that thread; the socket ends the other.
        _keepOpen.Dispose();
        if (_tpm is not null)
        {
            _tpm.Close();
            _toTpm!.Join();
            _fromTpm!.Join();
        }

        _master.Dispose();
        return ValueTask.CompletedTask;
    }

    private void ToTpm(Socket tpm)
    {
        var buffer = new byte[4096];
        while (Read(_master, buffer, (nuint)buffer.Length) is > 0 and var count && TrySend(tpm, buffer.AsSpan(0, (int)count)))
        {
        }
    }

    /// <summary>False: the emulator has ended, and the device answers nobody any more.</summary>
    private static bool TrySend(Socket tpm, ReadOnlySpan<byte> bytes)
    {
        try
        {
            while (bytes.Length > 0) bytes = bytes[tpm.Send(bytes)..];
            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    private void FromTpm(Socket tpm)
    {
        var buffer = new byte[4096];
        try
        {
            while (tpm.Receive(buffer) is > 0 and var count) Require((int)Write(_master, buffer, (nuint)count), "write");
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The emulator has ended, or the bridge.
        }
    }

    private static void Require(int result, string call)
    {
        if (result < 0) throw new InvalidOperationException($"{call}: errno {Marshal.GetLastPInvokeError()}");
    }

    [LibraryImport("libc", EntryPoint = "posix_openpt", SetLastError = true)]
    private static partial int PosixOpenPt(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt", SetLastError = true)]
    private static partial int GrantPt(int fd);

    [LibraryImport("libc", EntryPoint = "unlockpt", SetLastError = true)]
    private static partial int UnlockPt(int fd);

    [LibraryImport("libc", EntryPoint = "ptsname_r", SetLastError = true)]
    private static partial int PtsNameR(int fd, [Out] byte[] name, nuint size);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    private static partial int TcGetAttr(int fd, [Out] byte[] termios);

    [LibraryImport("libc", EntryPoint = "cfmakeraw")]
    private static partial void CfMakeRaw([In, Out] byte[] termios);

    [LibraryImport("libc", EntryPoint = "tcsetattr", SetLastError = true)]
    private static partial int TcSetAttr(int fd, int when, [In] byte[] termios);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoCtl(SafeFileHandle fd, nuint request);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeFileHandle fd, [Out] byte[] buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle fd, [In] byte[] buffer, nuint count);
}
