using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.PosLoad.Load;

/// <summary>A validation as bytes: built once for a token, only the nonce in it changes.</summary>
internal sealed class PosRequest
{
    private readonly byte[] _bytes;
    private readonly int _nonceAt;

    /// <param name="reason">The answer that is right for this token.</param>
    public PosRequest(string token, string reason)
    {
        const string NonceMember = "\",\"nonce\":\"";
        string tail = new string('A', Nonce16.TextLength) + "\"}";
        string body = "{\"license_token\":\"" + token + NonceMember + tail;
        string head = string.Create(
            CultureInfo.InvariantCulture,
            $"POST {LocalPaths.ValidateLicense} HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
            + $"Content-Length: {body.Length}\r\n\r\n");
        _bytes = Encoding.ASCII.GetBytes(head + body);
        _nonceAt = _bytes.Length - tail.Length;
        Reason = Encoding.ASCII.GetBytes($"\"reason\":\"{reason}\"");
    }

    /// <summary>What the answer must contain.</summary>
    public byte[] Reason { get; }

    /// <summary>The request with this nonce in it; valid until the next call.</summary>
    public ReadOnlySpan<byte> With(ReadOnlySpan<byte> nonce)
    {
        Base64Url.EncodeToUtf8(nonce, _bytes.AsSpan(_nonceAt, Nonce16.TextLength));
        return _bytes;
    }
}

/// <summary>Nonces that were never used: eight random bytes a run, and a counter.</summary>
internal sealed class NonceCounter
{
    private readonly byte[] _nonce = RandomNumberGenerator.GetBytes(Nonce16.Length);
    private long _count;

    public ReadOnlySpan<byte> Next()
    {
        BinaryPrimitives.WriteInt64LittleEndian(_nonce.AsSpan(8), _count++);
        return _nonce;
    }
}
