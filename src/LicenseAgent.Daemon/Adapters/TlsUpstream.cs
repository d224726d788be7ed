using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Daemon.Adapters;

internal sealed class TlsUpstream : IUpstream, IDisposable
{
    private HttpClient? _client;
    public void Dispose() => _client?.Dispose();
    private string _url = "";
    public void Configure(UpstreamSettings s)
    {
        _url = s.Url;
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        var ssl = new SslClientAuthenticationOptions
        {
            TargetHost = s.ServerName,
            EnabledSslProtocols = SslProtocols.Tls13,
            AllowTlsResume = false,
            RemoteCertificateValidationCallback = (_, c, _, _) => c is X509Certificate2 x && s.Pins.Contains(Pin(x)),
        };
        if (s.ClientPem is { } pem)
        {
            string text = Encoding.ASCII.GetString(pem.Span);
            using var c = X509Certificate2.CreateFromPem(text, text);
            var full = X509CertificateLoader.LoadPkcs12(c.Export(X509ContentType.Pkcs12), null);
            ssl.ClientCertificateContext = SslStreamCertificateContext.Create(full, null, offline: true);
        }
        handler.SslOptions = ssl;
        _client = new HttpClient(handler);
    }
    private static string Pin(X509Certificate2 c) => "sha256:" + Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData(c.PublicKey.ExportSubjectPublicKeyInfo()));
    public async Task<UpstreamAnswer> ExchangeAsync(string method, string path, ReadOnlyMemory<byte> body, TimeSpan deadline, CancellationToken cancel)
    {
        try
        {
            using var m = new HttpRequestMessage(new HttpMethod(method), _url + path);
            if (method == "POST") { m.Content = new ReadOnlyMemoryContent(body); m.Content.Headers.ContentType = new("application/jose"); }
            using var cts = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            cts.CancelAfter(deadline);
            using var r = await _client!.SendAsync(m, cts.Token);
            return new UpstreamAnswer((int)r.StatusCode, await r.Content.ReadAsByteArrayAsync(cts.Token), null);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !cancel.IsCancellationRequested)
        {
            throw new NoContactException("refused", e.Message, e);
        }
    }
}
