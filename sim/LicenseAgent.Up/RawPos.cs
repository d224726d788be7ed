using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Up;

/// <summary>An application without the client library, which would never send a nonce twice.</summary>
internal sealed class RawPos(string socketPath) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancel) =>
        {
            Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });

    public static Nonce16 NewNonce()
    {
        Span<byte> bytes = stackalloc byte[16];
        RandomNumberGenerator.Fill(bytes);
        return Nonce16.From(bytes);
    }

    /// <summary>The status of the answer.</summary>
    public async Task<int> ValidateAsync(string token, Nonce16 nonce, CancellationToken cancel)
    {
        using ByteArrayContent body = new(StrictJson.Write(
            new ValidateLicenseRequest(token, nonce), LocalRequestJsonContext.Wire.ValidateLicenseRequest));
        body.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using HttpResponseMessage answer = await _http.PostAsync(
            new Uri("http://agent" + LocalPaths.ValidateLicense), body, cancel);
        return (int)answer.StatusCode;
    }

    public void Dispose() => _http.Dispose();
}
