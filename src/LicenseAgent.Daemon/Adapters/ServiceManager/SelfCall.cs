using System.Net.Sockets;

namespace LicenseAgent.Daemon.Adapters.ServiceManager;

/// <summary>Asks the agent's own socket as an application does, from connect to answer.</summary>
internal static class SelfCall
{
    private static readonly byte[] s_request =
        "GET /v1/health HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n"u8.ToArray();

    private static readonly byte[] s_answer = "HTTP/1.1 "u8.ToArray();

    /// <summary>Any status will do: not ready, or over the rate, is an answer.</summary>
    /// <exception cref="IOException">The connection ended without one.</exception>
    public static async Task AskAsync(string path, CancellationToken cancel)
    {
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancel);
        await socket.SendAsync(s_request, cancel);
        byte[] read = new byte[s_answer.Length];
        for (int length = 0; length < read.Length;)
        {
            int count = await socket.ReceiveAsync(read.AsMemory(length), cancel);
            length += count > 0 ? count : throw new IOException($"{path} closed the connection without an answer.");
        }

        if (!read.AsSpan().SequenceEqual(s_answer))
            throw new IOException($"{path} does not answer as an agent does.");
    }
}
