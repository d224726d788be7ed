using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;
using Xunit;

namespace LicenseAgent.ContractTests.Upstream;

/// <summary>
/// That no TLS session is resumed: a resumed one skips the check of the server's certificate. What the server sent before
/// its first answer byte tells: only a full handshake carries the certificate.
/// </summary>
public sealed class ResumptionTests
{
    private const string Name = "license-server";
    private const int Connections = 4;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_connection_is_a_full_handshake()
    {
        using var authority = new TestAuthority(DateTimeOffset.UnixEpoch.AddYears(70));
        // Many names make a certificate that is larger than everything else in a handshake.
        using var certificate = authority.Server(
            [Name, .. Enumerable.Range(0, 200).Select(i => $"another-name-of-this-server-{i}.example")]);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener, certificate);

        using var upstream = new TlsUpstream(TimeProvider.System);
        upstream.Configure(new UpstreamSettings(
            $"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}", Name,
            [SpkiPin.Of(certificate).ToString()], authority.Der, null, new UtcTime(0)));
        for (int i = 0; i < Connections; i++)
        {
            var answer = await upstream.ExchangeAsync("POST", "/", new byte[1], TimeSpan.FromMinutes(1), Cancel);
            Assert.Equal(200, answer.Status);
        }

        Assert.All(await serving, sent => Assert.True(sent > certificate.RawData.Length, $"only {sent} bytes"));
    }

    private static async Task<List<long>> ServeAsync(TcpListener listener, X509Certificate2 certificate)
    {
        var sent = new List<long>();
        // One context for all connections, as any real server has: its ticket keys are what resumption needs.
        var context = SslStreamCertificateContext.Create(certificate, null, offline: true);
        for (int i = 0; i < Connections; i++)
        {
            using var client = await listener.AcceptTcpClientAsync(Cancel);
            var counted = new CountingStream(client.GetStream());
            await using var tls = new SslStream(counted);
            await tls.AuthenticateAsServerAsync(
                new SslServerAuthenticationOptions { ServerCertificateContext = context }, Cancel);
            byte[] request = new byte[4096];
            int length = 0;
            while (!request.AsSpan(0, length).EndsWith("\r\n\r\n\0"u8))
                length += await tls.ReadAsync(request.AsMemory(length), Cancel);
            sent.Add(counted.Written);
            await tls.WriteAsync("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), Cancel);
            await tls.ShutdownAsync();
        }

        return sent;
    }

    private sealed class CountingStream(Stream inner) : Stream
    {
        public long Written { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush() => inner.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer, cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count)
        {
            Written += count;
            inner.Write(buffer, offset, count);
        }

        public override ValueTask WriteAsync(
            ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Written += buffer.Length;
            return inner.WriteAsync(buffer, cancellationToken);
        }
    }
}
