using System.Buffers.Binary;
using System.Net.Sockets;

namespace LicenseAgent.Benchmarks.Peers;

/// <summary>
/// A connection to <c>ssh-agent</c> that asks for signatures by its first key over 32 bytes (draft-ietf-sshm-ssh-agent):
/// what another keeper of a key on a Unix socket takes for one use of it.
/// </summary>
internal sealed class SshSigner : Till.IExchange
{
    private const byte RequestIdentities = 11, IdentitiesAnswer = 12, SignRequest = 13, SignResponse = 14;
    private const int LengthBytes = 4, DataBytes = 32, AnswerMax = 16 * 1024, TimeoutMs = 10_000;

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
    {
        ReceiveTimeout = TimeoutMs,
        SendTimeout = TimeoutMs,
    };

    private readonly byte[] _answer = new byte[AnswerMax];
    private readonly byte[] _request;
    private readonly int _dataAt;
    private long _count;

    /// <exception cref="InvalidOperationException">It holds no key, or its answer is not one of the protocol.</exception>
    public SshSigner(string socketPath)
    {
        _socket.Connect(new UnixDomainSocketEndPoint(socketPath));
        Write([0, 0, 0, 1, RequestIdentities]);
        ReadOnlySpan<byte> identities = Read(IdentitiesAnswer);
        if (BinaryPrimitives.ReadUInt32BigEndian(identities) == 0)
            throw new InvalidOperationException("ssh-agent holds no key.");
        int blobLength = (int)BinaryPrimitives.ReadUInt32BigEndian(identities[LengthBytes..]);
        ReadOnlySpan<byte> blob = identities.Slice(2 * LengthBytes, blobLength);

        // length, type, string blob, string data, uint32 flags
        _dataAt = LengthBytes + 1 + LengthBytes + blobLength + LengthBytes;
        _request = new byte[_dataAt + DataBytes + LengthBytes];
        BinaryPrimitives.WriteInt32BigEndian(_request, _request.Length - LengthBytes);
        _request[LengthBytes] = SignRequest;
        BinaryPrimitives.WriteInt32BigEndian(_request.AsSpan(LengthBytes + 1), blobLength);
        blob.CopyTo(_request.AsSpan(2 * LengthBytes + 1));
        BinaryPrimitives.WriteInt32BigEndian(_request.AsSpan(_dataAt - LengthBytes), DataBytes);
    }

    public void Send()
    {
        BinaryPrimitives.WriteInt64LittleEndian(_request.AsSpan(_dataAt), _count++);
        Write(_request);
    }

    public void Receive() => Read(SignResponse);

    public void Dispose() => _socket.Dispose();

    private void Write(ReadOnlySpan<byte> message)
    {
        while (!message.IsEmpty)
            message = message[_socket.Send(message)..];
    }

    private ReadOnlySpan<byte> Read(byte type)
    {
        Fill(0, LengthBytes);
        int length = (int)BinaryPrimitives.ReadUInt32BigEndian(_answer);
        if (length is < 1 or > AnswerMax - LengthBytes)
            throw new InvalidOperationException($"ssh-agent announces an answer of {length} bytes.");
        Fill(LengthBytes, length);
        return _answer[LengthBytes] == type
            ? _answer.AsSpan(LengthBytes + 1, length - 1)
            : throw new InvalidOperationException($"ssh-agent answers {_answer[LengthBytes]}, not {type}.");
    }

    private void Fill(int at, int count)
    {
        for (int end = at + count; at < end;)
        {
            int read = _socket.Receive(_answer.AsSpan(at, end - at));
            at += read > 0 ? read : throw new InvalidOperationException("ssh-agent closed the connection.");
        }
    }
}
