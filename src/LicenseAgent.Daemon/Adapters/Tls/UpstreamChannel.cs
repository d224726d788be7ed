using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Authentication;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Tls;

/// <summary>The connections under one <see cref="UpstreamSettings"/>: never shared with another, so that a changed pin,
/// certificate or verification time judges every byte that comes after it.</summary>
internal sealed class UpstreamChannel : IDisposable
{
    // The handler goes on connecting after an exchange has given up; this ends it.
    private static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(60);

    private const int MaxHeaderKiB = 16;

    private readonly string _hostHeader;

    /// <exception cref="NoContactException">The settings cannot be used.</exception>
    public UpstreamChannel(UpstreamSettings settings, TimeSpan idleMax)
    {
        if (!Uri.TryCreate(settings.Url, UriKind.Absolute, out var address) || address.Scheme != Uri.UriSchemeHttps)
        {
            throw new NoContactException(
                "bad_address", $"\"{settings.Url}\" is no https address; correct server.url or enrol again.");
        }

        Address = address;
        _hostHeader = address.IsDefaultPort ? settings.ServerName : $"{settings.ServerName}:{address.Port}";
        var authorities = TlsMaterial.Authorities(settings.CaCertificate.Span);
        var client = settings.ClientPem is { IsEmpty: false } pem ? TlsMaterial.Client(pem.Span) : null;
        Invoker = new HttpMessageInvoker(Handler(new ServerCheck(settings, authorities), client, idleMax));
    }

    public Uri Address { get; }

    public HttpMessageInvoker Invoker { get; }

    public HttpRequestMessage Request(string method, string path, ReadOnlyMemory<byte> body)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), new Uri(Address, path))
        {
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        // The name the certificate is asked for and judged by; the address in the URL may be another.
        request.Headers.Host = _hostHeader;
        if (!body.IsEmpty)
        {
            request.Content = new ReadOnlyMemoryContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/jose");
        }

        return request;
    }

    public void Dispose() => Invoker.Dispose();

    private static SocketsHttpHandler Handler(
        ServerCheck check, SslStreamCertificateContext? client, TimeSpan idleMax) => new()
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            PooledConnectionIdleTimeout = idleMax,
            ConnectTimeout = ConnectMax,
            MaxResponseHeadersLength = MaxHeaderKiB,
            MaxResponseDrainSize = 0,
            SslOptions = new SslClientAuthenticationOptions
            {
                EnabledSslProtocols = SslProtocols.Tls13,
                // A resumed session would skip the check of the certificate and lose the one the agent shows.
                AllowTlsResume = false,
                CertificateChainPolicy = check.ChainPolicy(),
                RemoteCertificateValidationCallback = check.Accept,
                ClientCertificateContext = client,
            },
        };
}
