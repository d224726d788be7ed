using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.UnitTests.Core;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Upstream;

/// <summary>Which certificate the agent shows, by which time the server's is judged, and what a renewal leaves.</summary>
public sealed class ServerConnectionTests
{
    private static readonly UtcTime Built = Given.Time("2026-01-01T00:00:00.000Z");

    private readonly KeptFiles _files = new();
    private readonly SeenUpstream _upstream = new();
    private ServerConfig _server = new(null, [], null, null, TimeSpan.FromSeconds(30));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Before_contact_the_server_is_judged_by_the_build_time()
    {
        ServerConnection connection = await OpenAsync();
        connection.JudgeBy(null);
        Assert.Equal(Built, _upstream.Settings[^1].VerificationTime);
    }

    [Fact]
    public async Task After_contact_it_is_judged_by_what_is_proven()
    {
        ServerConnection connection = await OpenAsync();
        UtcTime proven = Built + TimeSpan.FromDays(90);
        connection.JudgeBy(proven);
        Assert.Equal(proven, _upstream.Settings[^1].VerificationTime);
    }

    [Fact]
    public async Task A_proven_time_that_went_back_judges_as_well()
    {
        ServerConnection connection = await OpenAsync();
        connection.JudgeBy(Built + TimeSpan.FromDays(90));
        connection.JudgeBy(Built + TimeSpan.FromDays(30));
        Assert.Equal(Built + TimeSpan.FromDays(30), _upstream.Settings[^1].VerificationTime);
    }

    [Fact]
    public async Task Minutes_make_no_new_connections()
    {
        ServerConnection connection = await OpenAsync();
        connection.JudgeBy(Built + TimeSpan.FromDays(90));
        int before = _upstream.Settings.Count;
        connection.JudgeBy(Built + TimeSpan.FromDays(90) + TimeSpan.FromMinutes(59));
        Assert.Equal(before, _upstream.Settings.Count);
    }

    [Fact]
    public async Task The_request_after_a_reload_goes_where_it_says()
    {
        ServerConnection connection = await OpenAsync();
        connection.JudgeBy(null);
        _server = _server with { Url = "https://other", CertPins = ["sha256:other"] };
        connection.JudgeBy(null);
        Assert.Equal("https://other", _upstream.Settings[^1].Url);
        Assert.Equal(["sha256:other"], _upstream.Settings[^1].Pins);
    }

    [Fact]
    public async Task A_renewal_keeps_its_key_until_it_is_answered()
    {
        ServerConnection connection = await OpenAsync();
        byte[] first = PublicKeyOf(await connection.RequestAsync(Cancel));
        Assert.Equal(first, PublicKeyOf(await connection.RequestAsync(Cancel)));
        Assert.NotEqual(first, PublicKeyOf(_files.Content["tls.pem"]));
    }

    [Fact]
    public async Task The_renewed_pair_is_shown_and_the_one_before_is_kept()
    {
        ServerConnection connection = await OpenAsync();
        byte[] before = _files.Content["tls.pem"];
        await RenewAsync(connection);
        Assert.Equal(before, _files.Content["tls.pem.prev"]);
        Assert.Equal(_files.Content["tls.pem"], _upstream.Settings[^1].ClientPem!.Value.ToArray());
        Assert.NotEqual(before, _files.Content["tls.pem"]);
        Assert.DoesNotContain("tls.pem.next", _files.Content.Keys);
    }

    [Fact]
    public async Task A_certificate_over_another_key_is_no_answer()
    {
        ServerConnection connection = await OpenAsync();
        await connection.RequestAsync(Cancel);
        using ECDsa other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string[] chain = [Base64UrlText.Encode(CertificateOver(other).RawData)];
        await Assert.ThrowsAsync<NoContactException>(() => connection.LifeOfAsync(chain, Cancel));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_renewal_cut_at_any_write_leaves_a_pair_that_works(int writes)
    {
        ServerConnection connection = await OpenAsync();
        string[] chain = await AnswerAsync(connection);
        _files.WritesLeft = writes;
        await Assert.ThrowsAsync<StorageException>(() => connection.TakeIntoUseAsync(chain, Cancel));
        _files.WritesLeft = null;
        await OpenAsync(fresh: false);
        Assert.True(TlsFiles.TryReadLife(_upstream.Settings[^1].ClientPem!.Value.Span, out _));
    }

    [Fact]
    public async Task A_handshake_that_breaks_gives_the_other_pair_its_turn_and_the_next_one_gives_it_back()
    {
        ServerConnection connection = await OpenAsync();
        await RenewAsync(connection);
        connection.Broke(new NoContactException("tls_refused", "no"));
        Assert.Equal(_files.Content["tls.pem.prev"], Shown());
        connection.Broke(new NoContactException("tls_refused", "no"));
        Assert.Equal(_files.Content["tls.pem"], Shown());
    }

    [Fact]
    public async Task A_server_that_cannot_be_reached_says_nothing_of_the_certificate()
    {
        ServerConnection connection = await OpenAsync();
        await RenewAsync(connection);
        connection.Broke(new NoContactException("timeout", "no"));
        Assert.Equal(_files.Content["tls.pem"], Shown());
    }

    [Fact]
    public async Task A_damaged_pair_is_passed_over()
    {
        ServerConnection connection = await OpenAsync();
        await RenewAsync(connection);
        _files.Content["tls.pem"] = "no pair"u8.ToArray();
        await OpenAsync(fresh: false);
        Assert.Equal(_files.Content["tls.pem.prev"], Shown());
    }

    private byte[] Shown() => _upstream.Settings[^1].ClientPem!.Value.ToArray();

    private async Task<ServerConnection> OpenAsync(bool fresh = true)
    {
        if (fresh)
        {
            using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            _files.Content["tls.pem"] = Encoding.ASCII.GetBytes(
                $"{key.ExportPkcs8PrivateKeyPem()}\n{CertificateOver(key).ExportCertificatePem()}\n");
        }

        AgentPorts ports = new(
            null!, null!, null!, null!, _files, null!, null!, _upstream, null!, null!, TimeProvider.System);
        AgentFile agent = new(
            AgentFile.CurrentFormat, EnrollmentPhase.Enrolled, "pos-001", "https://server", "server", [], "",
            new KeysetPin(1, default), null, null, default, default, null, 0, 0);
        ServerConnection connection = new(ports, () => _server, agent, [], Built);
        await connection.OpenAsync(Cancel);
        return connection;
    }

    private async Task RenewAsync(ServerConnection connection) =>
        await connection.TakeIntoUseAsync(await AnswerAsync(connection), Cancel);

    private static async Task<string[]> AnswerAsync(ServerConnection connection)
    {
        CertificateRequest request = CertificateRequest.LoadSigningRequest(
            await connection.RequestAsync(Cancel), HashAlgorithmName.SHA256);
        using ECDsa authority = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using X509Certificate2 certificate = request.Create(
            new X500DistinguishedName("CN=ca"), X509SignatureGenerator.CreateForECDsa(authority),
            DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(60), [1]);
        return [Base64UrlText.Encode(certificate.RawData)];
    }

    private static X509Certificate2 CertificateOver(ECDsa key) =>
        new CertificateRequest("CN=pos-001", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(60));

    private static byte[] PublicKeyOf(byte[] requestOrPem)
    {
        if (requestOrPem[0] == 0x30)
        {
            return CertificateRequest.LoadSigningRequest(requestOrPem, HashAlgorithmName.SHA256)
                .PublicKey.ExportSubjectPublicKeyInfo();
        }

        using ECDsa key = ECDsa.Create();
        key.ImportFromPem(Encoding.ASCII.GetString(requestOrPem));
        return key.ExportSubjectPublicKeyInfo();
    }

    private sealed class SeenUpstream : IUpstream
    {
        public List<UpstreamSettings> Settings { get; } = [];

        public void Configure(UpstreamSettings settings) => Settings.Add(settings);

        public Task<UpstreamAnswer> ExchangeAsync(
            string method, string path, ReadOnlyMemory<byte> body, TimeSpan deadline, CancellationToken cancel) =>
            throw new NotSupportedException();
    }

    /// <summary>Files in memory; after so many changes the disk takes no more.</summary>
    private sealed class KeptFiles : IStateFiles
    {
        public Dictionary<string, byte[]> Content { get; } = new(StringComparer.Ordinal);

        public int? WritesLeft { get; set; }

        public Task<byte[]?> ReadAsync(string name, CancellationToken cancel) =>
            Task.FromResult(Content.GetValueOrDefault(name));

        public Task WriteAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel) =>
            ReplaceAsync(name, content, cancel);

        public Task ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel)
        {
            Take();
            Content[name] = content.ToArray();
            return Task.CompletedTask;
        }

        public Task RenameAsync(string from, string to, CancellationToken cancel) => throw new NotSupportedException();

        public Task EraseAsync(string name, CancellationToken cancel)
        {
            Take();
            Content.Remove(name);
            return Task.CompletedTask;
        }

        private void Take()
        {
            if (WritesLeft is { } left)
            {
                WritesLeft = left > 0 ? left - 1 : throw new StorageException("ENOSPC", "full");
            }
        }
    }
}
