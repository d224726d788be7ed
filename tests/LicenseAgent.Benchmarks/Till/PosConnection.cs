using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Benchmarks.Till;

/// <summary>
/// One keep-alive connection of an application, on a blocking socket, so that the client costs as little as it can. The
/// request is built once for a token; only the nonce in it changes. One request is open at a time.
/// </summary>
internal sealed class PosConnection : IExchange
{
    private const int AnswerTimeoutMs = 10_000;

    private static readonly byte[] s_ok = "HTTP/1.1 200 "u8.ToArray();
    private static readonly byte[] s_valid = "{\"valid\":true"u8.ToArray();
    private static readonly byte[] s_headEnd = "\r\n\r\n"u8.ToArray();

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
    {
        ReceiveTimeout = AnswerTimeoutMs,
        SendTimeout = AnswerTimeoutMs,
    };

    private readonly byte[] _nonce = RandomNumberGenerator.GetBytes(Nonce16.Length);
    private readonly byte[] _answer = new byte[32 * 1024];
    private byte[] _request = [];
    private int _nonceAt;
    private long _count;

    public PosConnection(string socketPath, string token)
    {
        _socket.Connect(new UnixDomainSocketEndPoint(socketPath));
        Use(token);
    }

    /// <summary>Bytes of every answer, head included; known after <see cref="Learn"/>.</summary>
    public int AnswerLength { get; private set; }

    /// <summary>Bytes of the body of every answer.</summary>
    public int BodyLength { get; private set; }

    /// <summary>Bytes of every request.</summary>
    public int RequestLength => _request.Length;

    public void Use(string token)
    {
        const string NonceMember = "\",\"nonce\":\"";
        string tail = new string('A', Nonce16.TextLength) + "\"}";
        string body = "{\"license_token\":\"" + token + NonceMember + tail;
        string head = string.Create(
            CultureInfo.InvariantCulture,
            $"POST {LocalPaths.ValidateLicense} HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
            + $"Content-Length: {body.Length}\r\n\r\n");
        _request = Encoding.ASCII.GetBytes(head + body);
        _nonceAt = _request.Length - tail.Length;
    }

    /// <summary>Asks once, taking the answer apart; every later one has its length.</summary>
    public void Learn(bool mustBeValid)
    {
        Send();
        int length = 0, head;
        while ((head = _answer.AsSpan(0, length).IndexOf(s_headEnd)) < 0)
            length += Read(length);
        int bodyAt = head + s_headEnd.Length;
        string fields = Encoding.ASCII.GetString(_answer, 0, head);
        BodyLength = int.Parse(
            fields.Split("\r\n").Single(f => f.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))[15..],
            CultureInfo.InvariantCulture);
        AnswerLength = bodyAt + BodyLength;
        while (length < AnswerLength)
            length += Read(length);
        Check(length);
        if (mustBeValid && !_answer.AsSpan(bodyAt).StartsWith(s_valid))
            throw new InvalidOperationException("Not a valid license: " + Encoding.UTF8.GetString(_answer, 0, length));
    }

    /// <summary>Sends the request with a nonce that was never used.</summary>
    public void Send()
    {
        BinaryPrimitives.WriteInt64LittleEndian(_nonce.AsSpan(8), _count++);
        Base64Url.EncodeToUtf8(_nonce, _request.AsSpan(_nonceAt, Nonce16.TextLength));
        for (int sent = 0; sent < _request.Length;)
            sent += _socket.Send(_request.AsSpan(sent));
    }

    public void Receive()
    {
        int length = 0;
        while (length < AnswerLength)
        {
            length += Read(length);

            // A refusal is shorter; waiting for the rest of it would hide its reason behind a timeout.
            if (!_answer.AsSpan(0, length).StartsWith(s_ok))
                break;
        }
        Check(length);
    }

    public void Dispose() => _socket.Dispose();

    private int Read(int at)
    {
        int read = _socket.Receive(_answer.AsSpan(at));
        return read > 0 ? read : throw new InvalidOperationException("The connection was closed before the answer.");
    }

    private void Check(int length)
    {
        if (length != AnswerLength || !_answer.AsSpan(0, length).StartsWith(s_ok))
            throw new InvalidOperationException("Refused: " + Encoding.UTF8.GetString(_answer, 0, length));
    }
}
