using System.Net.Sockets;
using System.Text;

namespace LicenseAgent.Testbed.Net;

/// <summary>
/// Where a running part of the testbed is told what to do: a Unix socket, one line in, one line back. An empty line
/// asks; any other sets. What comes back is what holds from now on, or a line that begins with <see cref="Refusal"/>.
/// </summary>
public static class ControlSocket
{
    public const string Refusal = "error: ";
    private const int LineMax = 16 * 1024;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <summary>One caller after the other, until cancelled.</summary>
    /// <param name="answer">Makes the line that goes back, of the line that came.</param>
    /// <exception cref="SocketException">It cannot listen there.</exception>
    public static async Task ServeAsync(string path, Func<string, string> answer, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(answer);
        File.Delete(path);
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(8);
        while (true)
        {
            using Socket caller = await listener.AcceptAsync(cancel);
            try
            {
                using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                limit.CancelAfter(s_patience);
                string line = await ReadLineAsync(caller, limit.Token);
                await caller.SendAsync(Encoding.UTF8.GetBytes(answer(line) + "\n"), limit.Token);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException && !cancel.IsCancellationRequested)
            {
                // It went away, or had nothing to say: the next one.
            }
        }
    }

    /// <exception cref="SocketException">Nobody listens there.</exception>
    public static async Task<string> CallAsync(string path, string line, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(line);
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancel);
        await socket.SendAsync(Encoding.UTF8.GetBytes(line.ReplaceLineEndings(" ") + "\n"), cancel);
        return await ReadLineAsync(socket, cancel);
    }

    private static async Task<string> ReadLineAsync(Socket socket, CancellationToken cancel)
    {
        byte[] buffer = new byte[LineMax];
        int read = 0, count;
        while (read < LineMax && (count = await socket.ReceiveAsync(buffer.AsMemory(read), cancel)) > 0)
        {
            read += count;
            if (buffer.AsSpan(0, read).IndexOf((byte)'\n') is >= 0 and var end)
                return Encoding.UTF8.GetString(buffer, 0, end);
        }

        return Encoding.UTF8.GetString(buffer, 0, read);
    }
}
