using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace LicenseAgent.Benchmarks.Peers;

/// <summary>
/// What a Unix socket itself costs, in a process of its own: a thread a connection that reads a request's number of
/// bytes, looks at none of them, and writes the same bytes of an answer.
/// </summary>
internal static class RawAnswer
{
    public const string Command = "raw-answer";
    public const string Ready = "raw_answer_ready";

    private const int Backlog = 64;

    /// <summary>Serves until it is killed.</summary>
    /// <param name="asked">Bytes of a request.</param>
    /// <param name="answered">Bytes of an answer, head included.</param>
    public static int Run(string path, int asked, int answered)
    {
        byte[] answer = Answer(answered);
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(Backlog);
        Console.WriteLine(Ready);
        while (true)
        {
            Socket accepted = listener.Accept();
            new Thread(() => Serve(accepted, asked, answer)) { IsBackground = true }.Start();
        }
    }

    private static void Serve(Socket connection, int asked, byte[] answer)
    {
        using (connection)
        {
            byte[] request = new byte[asked];
            while (true)
            {
                for (int read = 0; read < asked;)
                {
                    int got = connection.Receive(request.AsSpan(read));
                    if (got == 0)
                        return;
                    read += got;
                }

                for (int sent = 0; sent < answer.Length;)
                    sent += connection.Send(answer.AsSpan(sent));
            }
        }
    }

    private static byte[] Answer(int length)
    {
        string Head(int body) => string.Create(
            CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
        int body = length - Head(length).Length;
        while (Head(body).Length + body < length)
            body++;
        return Encoding.ASCII.GetBytes(Head(body).PadRight(length));
    }
}
