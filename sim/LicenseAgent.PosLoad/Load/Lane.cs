using System.Buffers.Text;
using System.Net.Sockets;
using System.Text;

namespace LicenseAgent.PosLoad.Load;

/// <summary>How a request ended.</summary>
internal enum Outcome
{
    /// <summary>The answer that is right for its token.</summary>
    Expected,

    /// <summary>200 with another reason.</summary>
    Wrong,

    /// <summary>Another status.</summary>
    Refused,

    /// <summary>The connection ended, or no answer came in time.</summary>
    Broken,
}

/// <summary>
/// One keep-alive connection on a socket that never blocks, with one request open at a time. Used by one thread.
/// </summary>
internal sealed class Lane(string socketPath, bool reconnect) : IDisposable
{
    private static readonly byte[] s_ok = "HTTP/1.1 200 "u8.ToArray();
    private static readonly byte[] s_headEnd = "\r\n\r\n"u8.ToArray();
    private static readonly byte[] s_reason = "\"reason\":\""u8.ToArray();
    private static readonly byte[] s_length = "Content-Length:"u8.ToArray();

    private readonly byte[] _answer = new byte[32 * 1024];
    private Socket? _socket;
    private PosRequest? _open;
    private int _length;

    /// <summary>When the request on it was due; nanoseconds from the start.</summary>
    public long DueNs { get; private set; }

    /// <summary>What the last refusal or failure said.</summary>
    public string LastTrouble { get; private set; } = "";

    public int Descriptor => (int)(_socket?.Handle ?? -1);

    /// <summary>Sends at once; <see langword="false"/> when the connection could not be made or took no more.</summary>
    public bool Send(PosRequest request, ReadOnlySpan<byte> nonce, long dueNs)
    {
        (_open, _length, DueNs) = (request, 0, dueNs);
        try
        {
            if (_socket is null)
            {
                _socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                _socket.Connect(new UnixDomainSocketEndPoint(socketPath));
                _socket.Blocking = false;
            }

            ReadOnlySpan<byte> bytes = request.With(nonce);
            if (_socket.Send(bytes, SocketFlags.None, out SocketError error) == bytes.Length)
            {
                return true;
            }

            LastTrouble = $"send: {error}";
        }
        catch (SocketException e)
        {
            LastTrouble = $"connect: {e.SocketErrorCode}";
        }

        Close();
        return false;
    }

    /// <summary>Reads what is there; <see langword="null"/> while the answer is not whole.</summary>
    public Outcome? Receive()
    {
        int read = _socket!.Receive(_answer.AsSpan(_length), SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock)
        {
            return null;
        }

        if (read <= 0)
        {
            return Break(error == SocketError.Success ? "closed before the answer" : $"receive: {error}");
        }

        _length += read;
        ReadOnlySpan<byte> answer = _answer.AsSpan(0, _length);
        int head = answer.IndexOf(s_headEnd);
        if (head < 0 || _length < head + s_headEnd.Length + BodyLength(answer[..head]))
        {
            return _length == _answer.Length ? Break("an answer of more than 32 KiB") : null;
        }

        Outcome outcome = !answer.StartsWith(s_ok) ? Outcome.Refused
            : _open!.Reason.Length != 0 && answer.IndexOf(_open.Reason) < 0 ? Outcome.Wrong : Outcome.Expected;
        if (outcome != Outcome.Expected)
        {
            LastTrouble = outcome == Outcome.Wrong
                ? "answered " + ReasonIn(answer[(head + s_headEnd.Length)..])
                : Encoding.UTF8.GetString(answer[(head + s_headEnd.Length)..]);
        }

        if (reconnect || outcome == Outcome.Refused)
        {
            Close();
        }

        return outcome;
    }

    /// <summary>Gives the request up.</summary>
    public Outcome Break(string why)
    {
        LastTrouble = why;
        Close();
        return Outcome.Broken;
    }

    public void Dispose() => Close();

    private void Close()
    {
        _socket?.Dispose();
        _socket = null;
    }

    // The member alone: the answer's nonce would make every failure another one.
    private static string ReasonIn(ReadOnlySpan<byte> body)
    {
        int at = body.IndexOf(s_reason);
        if (at < 0)
        {
            return "no reason";
        }

        ReadOnlySpan<byte> rest = body[(at + s_reason.Length)..];
        int end = rest.IndexOf((byte)'"');
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }

    private static int BodyLength(ReadOnlySpan<byte> head)
    {
        int at = head.IndexOf(s_length);
        if (at < 0)
        {
            return 0;
        }

        ReadOnlySpan<byte> value = head[(at + s_length.Length)..].TrimStart((byte)' ');
        return Utf8Parser.TryParse(value, out int length, out _) ? length : 0;
    }
}
