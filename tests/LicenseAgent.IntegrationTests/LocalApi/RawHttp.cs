using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace LicenseAgent.IntegrationTests.LocalApi;

/// <summary>What came back on a connection; status 0: it was closed without an answer.</summary>
internal sealed record RawAnswer(int Status, string Head, string Body)
{
    public static RawAnswer Nothing { get; } = new(0, "", "");
}

/// <summary>Bytes over a Unix socket, as hostile as a test wants them.</summary>
internal static partial class RawHttp
{
    private const int SetResUid = 117;

    public static Socket Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    /// <summary>
    /// Connects as another user: the kernel takes credentials, and checks the path, by the thread that connects. The
    /// raw call changes this thread alone, and the thread ends with it.
    /// </summary>
    public static Socket ConnectAs(uint uid, string path)
    {
        Socket? socket = null;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                if (Syscall(SetResUid, -1, (nint)uid, -1) != 0)
                    throw new InvalidOperationException("This test needs to run as root.");
                socket = Connect(path);
            }
            catch (Exception e) when (e is SocketException or InvalidOperationException)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        return socket ?? throw failure!;
    }

    public static async Task<RawAnswer> ExchangeAsync(
        string path, byte[] request, CancellationToken cancel, bool halfClose = false)
    {
        using Socket socket = Connect(path);
        return await ExchangeAsync(socket, request, cancel, halfClose);
    }

    public static async Task<RawAnswer> ExchangeAsync(
        Socket socket, byte[] request, CancellationToken cancel, bool halfClose = false)
    {
        int sent = 0;
        while (sent < request.Length)
            sent += await socket.SendAsync(request.AsMemory(sent), cancel);
        if (halfClose)
            socket.Shutdown(SocketShutdown.Send);
        return await ReadAsync(socket, cancel);
    }

    public static async Task<RawAnswer> ReadAsync(Socket socket, CancellationToken cancel)
    {
        var bytes = new MemoryStream();
        byte[] buffer = new byte[16 * 1024];
        while (true)
        {
            if (Parse(Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length)) is { } answer)
                return answer;
            int read = await socket.ReceiveAsync(buffer, cancel);
            if (read == 0)
                return RawAnswer.Nothing;
            bytes.Write(buffer, 0, read);
        }
    }

    public static byte[] Request(string method, string target, string? json = null, string? type = "application/json")
    {
        byte[] body = Encoding.UTF8.GetBytes(json ?? "");
        string head = $"{method} {target} HTTP/1.1\r\nHost: agent\r\n"
            + (json is null || type is null ? "" : $"Content-Type: {type}\r\n")
            + (json is null ? "" : string.Create(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}\r\n"))
            + "\r\n";
        return [.. Encoding.ASCII.GetBytes(head), .. body];
    }

    private static RawAnswer? Parse(string text)
    {
        int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
            return null;
        string head = text[..end];
        string body = text[(end + 4)..];
        const string Length = "content-length: ";
        int at = head.IndexOf(Length, StringComparison.OrdinalIgnoreCase);
        string number = at < 0 ? "0" : head[(at + Length.Length)..].Split('\r')[0];
        return Encoding.UTF8.GetByteCount(body) < int.Parse(number, CultureInfo.InvariantCulture)
            ? null
            : new RawAnswer(int.Parse(head.AsSpan(9, 3), CultureInfo.InvariantCulture), head, body);
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Syscall(nint number, nint real, nint effective, nint saved);
}
