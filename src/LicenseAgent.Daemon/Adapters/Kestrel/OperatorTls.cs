using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using Microsoft.AspNetCore.Connections;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>
/// Connection middleware: TLS 1.3 without resumption, and a certificate of an operator, or no byte of HTTP is read.
/// Kestrel's own TLS needs the services of a host, and tells handlers nothing of what a peer sent beside its
/// certificate.
/// </summary>
internal sealed class OperatorTls : IDisposable
{
    private static readonly TimeSpan HandshakeTimeMax = TimeSpan.FromSeconds(5);

    private readonly HttpsSurface _surface;
    private readonly TimeProvider _time;
    private readonly X509Certificate2 _certificate;
    private readonly SslStreamCertificateContext _context;

    /// <param name="serverPem">Chain and key.</param>
    public OperatorTls(byte[] serverPem, HttpsSurface surface, TimeProvider time)
    {
        (_surface, _time) = (surface, time);
        string pem = System.Text.Encoding.ASCII.GetString(serverPem);
        _certificate = X509Certificate2.CreateFromPem(pem, pem);
        X509Certificate2Collection chain = [];
        chain.ImportFromPem(pem);
        _context = SslStreamCertificateContext.Create(_certificate, chain, offline: true);
    }

    public async Task OnConnection(ConnectionContext connection, ConnectionDelegate next)
    {
        IDuplexPipe wire = connection.Transport;
        X509Certificate2Collection others = [];
        await using SslStream tls = new(new DuplexStream(wire));
        try
        {
            if (!await TryHandshakeAsync(tls, others))
                return;
            connection.Features.Set(
                new AdmittedPeer(PeerCredentials.None, (X509Certificate2)tls.RemoteCertificate!, others));
            await ServeAsync(connection, tls, next);
        }
        finally
        {
            connection.Transport = wire;
            foreach (X509Certificate2 other in others)
                other.Dispose();
        }
    }

    public void Dispose() => _certificate.Dispose();

    private async Task<bool> TryHandshakeAsync(SslStream tls, X509Certificate2Collection others)
    {
        using CancellationTokenSource limit = new(HandshakeTimeMax, _time);
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _context,
            EnabledSslProtocols = SslProtocols.Tls13,
            ClientCertificateRequired = true,
            AllowRenegotiation = false,
            AllowTlsResume = false, // a resumed session loses its client certificate
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, shown, chain, _) => Accept(shown, chain, others),
        };
        try
        {
            await tls.AuthenticateAsServerAsync(options, limit.Token);
            return true;
        }
        catch (Exception e) when (e is AuthenticationException or IOException or OperationCanceledException)
        {
            // Not TLS 1.3, no operator (that is recorded), gone, or too slow: there is nobody to answer.
            return false;
        }
    }

    private bool Accept(X509Certificate? shown, X509Chain? chain, X509Certificate2Collection others)
    {
        if (shown is not X509Certificate2 certificate)
            return false;
        foreach (X509Certificate2 sent in chain?.ChainPolicy.ExtraStore ?? [])
            others.Add(X509CertificateLoader.LoadCertificate(sent.RawData));
        if (_surface.Judge(certificate, others).Operator is not null)
            return true;
        _surface.Denials.Add(PeerCredentials.None, Admission.NotAllowed, certificate.Subject);
        return false;
    }

    private static async Task ServeAsync(ConnectionContext connection, SslStream tls, ConnectionDelegate next)
    {
        PipeReader input = PipeReader.Create(tls, new StreamPipeReaderOptions(leaveOpen: true));
        PipeWriter output = PipeWriter.Create(tls, new StreamPipeWriterOptions(leaveOpen: true));
        connection.Transport = new Plain(input, output);
        try
        {
            await next(connection);
        }
        finally
        {
            await input.CompleteAsync();
            await output.CompleteAsync();
        }
    }

    private sealed record Plain(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
