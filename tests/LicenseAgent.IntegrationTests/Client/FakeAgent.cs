using System.Net.Sockets;
using System.Text;

namespace LicenseAgent.IntegrationTests.Client;

/// <summary>
/// Something in the agent's place. Answers the n-th request with the n-th line of its script, given the request's body;
/// <see langword="null"/> closes the connection instead.
/// </summary>
internal sealed class FakeAgent : IDisposable
{
    private readonly string _home = Directory.CreateTempSubdirectory("lsa-fake-").FullName;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Queue<Func<string, string?>> _script;

    public FakeAgent(params Func<string, string?>[] script)
    {
        _script = new Queue<Func<string, string?>>(script);
        _listener.Bind(new UnixDomainSocketEndPoint(Path));
        _listener.Listen();
        Serving = ServeAsync();
    }

    public string Path => System.IO.Path.Combine(_home, "pos.sock");

    public List<string> Requests { get; } = [];

    private Task Serving { get; }

    public void Dispose()
    {
        _listener.Dispose();
        Directory.Delete(_home, recursive: true);
    }

    private async Task ServeAsync()
    {
        try
        {
            while (_script.Count > 0)
            {
                using Socket socket = await _listener.AcceptAsync();
                while (_script.Count > 0 && await ReadBodyAsync(socket) is { } body)
                {
                    Requests.Add(body);
                    if (_script.Dequeue()(body) is not { } answer)
                        break;
                    await socket.SendAsync(Encoding.UTF8.GetBytes(answer));
                }
            }
        }
        catch (SocketException)
        {
            // The test is over.
        }
        catch (ObjectDisposedException)
        {
            // The test is over.
        }
    }

    public static string Json(int status, string json, string type = "application/json") =>
        $"HTTP/1.1 {status} X\r\nContent-Type: {type}\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\n\r\n{json}";

    private static async Task<string?> ReadBodyAsync(Socket socket)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[32 * 1024];
        while (true)
        {
            int read = await socket.ReceiveAsync(buffer);
            if (read == 0)
                return null;
            text.Append(Encoding.ASCII.GetString(buffer, 0, read));
            string[] parts = text.ToString().Split("\r\n\r\n", 2);
            string? length = parts[0].Split("\r\n")
                .FirstOrDefault(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
            if (parts.Length == 2 && parts[1].Length >= int.Parse(
                length?.Split(':')[1] ?? "0", System.Globalization.CultureInfo.InvariantCulture))
            {
                return parts[1];
            }
        }
    }
}
