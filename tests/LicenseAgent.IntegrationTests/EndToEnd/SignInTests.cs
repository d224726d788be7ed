using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using LicenseAgent.IntegrationTests.LocalApi;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>Operators with certificates that openssl made, at a running agent that insists on them.</summary>
public sealed class SignInTests(GuardedTill till) : IClassFixture<GuardedTill>
{
    private const uint Viewer = 1003;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("admin")]
    [InlineData("admin-rsa")]
    [InlineData("viewer")]
    public async Task A_certificate_lets_its_owner_look(string name)
    {
        (int exit, string said) = await till.CliAsAsync(name, Cancel, "status");
        Assert.True(exit == 0, said);
        Assert.Contains("LOCKED", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("admin", 0)]
    [InlineData("admin-rsa", 0)]
    [InlineData("viewer", 4)]
    public async Task What_its_owner_may_change_follows_from_the_role(string name, int expected)
    {
        (int exit, string said) = await till.CliAsAsync(name, Cancel, "reload");
        Assert.True(exit == expected, said);
    }

    [Fact]
    public async Task The_key_may_be_in_the_file_of_the_certificate()
    {
        string both = till.Pki.PathOf("both.pem");
        await File.WriteAllTextAsync(
            both,
            await File.ReadAllTextAsync(till.Pki.PathOf("admin.pem"), Cancel)
            + await File.ReadAllTextAsync(till.Pki.PathOf("admin.key"), Cancel), Cancel);
        Assert.Equal(0, (await till.CliAsync(Cancel, "--auth-cert", both, "secrets")).Exit);
    }

    [Fact]
    public async Task Without_a_certificate_an_admin_is_told_to_bring_one()
    {
        (int exit, string said) = await till.CliAsync(Cancel, "status");
        Assert.Equal(4, exit);
        Assert.Contains("--auth-cert", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_encrypted_key_is_refused_with_the_way_to_decrypt_it()
    {
        await till.Pki.RunAsync(
            Cancel, "pkey", "-in", "admin.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key");
        (int exit, string said) = await till.CliAsync(
            Cancel, "--auth-cert", till.Pki.PathOf("admin.pem"), "--auth-key", till.Pki.PathOf("locked.key"), "status");
        Assert.Equal(2, exit);
        Assert.Contains("openssl pkey", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_of_another_certificate_is_a_usage_error()
    {
        (int exit, string said) = await till.CliAsync(
            Cancel, "--auth-cert", till.Pki.PathOf("admin.pem"), "--auth-key", till.Pki.PathOf("viewer.key"), "status");
        Assert.True(exit == 2, said);
    }

    [Fact]
    public async Task A_certificate_that_is_revoked_signs_in_until_the_list_is_read_again()
    {
        await till.Pki.RevokeAsync("lost", Cancel);
        Assert.Equal(0, (await till.CliAsAsync("lost", Cancel, "status")).Exit);

        (int exit, string said) = await till.CliAsAsync("admin", Cancel, "reload");
        Assert.True(exit == 0, said);
        Assert.Contains("management.crl", said, StringComparison.Ordinal);

        (exit, said) = await till.CliAsAsync("lost", Cancel, "status");
        Assert.Equal(4, exit);
        Assert.Contains("revoked", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_session_is_of_no_use_to_another_user()
    {
        string session = await BeginSessionAsync();

        Assert.Equal(200, await CurlAsync([], session));
        string[] viewer = ["setpriv", "--reuid", $"{Viewer}", "--regid", $"{Viewer}", "--clear-groups"];
        Assert.Equal(401, await CurlAsync(viewer, session));
    }

    [Fact]
    public async Task SIGHUP_reads_the_configuration_again_and_ends_sessions()
    {
        string session = await BeginSessionAsync();
        int before = Reloads();

        await GuardedTill.RunAsync(
            "kill", Cancel, "-HUP", till.Process.Id.ToString(CultureInfo.InvariantCulture));
        await Eventually.HoldsAsync(() => Reloads() > before, "the agent never said config_reloaded", Cancel);

        Assert.Equal(401, await CurlAsync([], session));
    }

    [Theory]
    [InlineData("admin", "/v1/status", "GET", 200)]
    [InlineData("viewer", "/v1/status", "GET", 200)]
    [InlineData("viewer", "/v1/reload", "POST", 403)]
    [InlineData("admin-rsa", "/v1/auth/challenge", "POST", 409)]
    public async Task Over_HTTPS_the_certificate_alone_says_what_its_owner_may(
        string name, string path, string method, int status)
    {
        (int exit, string said) = await HttpsAsync(
            path, "-X", method, "--cert", till.Pki.PathOf($"{name}.pem"), "--key", till.Pki.PathOf($"{name}.key"));
        Assert.Equal((0, $"{status}"), (exit, said));
        JsonElement record = LastCall(path);
        Assert.Equal(JsonValueKind.Null, record.GetProperty("actor").GetProperty("uid").ValueKind);
        Assert.Equal($"CN={name}", record.GetProperty("details").GetProperty("subject").GetString());
    }

    [Fact]
    public async Task Over_HTTPS_nobody_without_a_certificate_is_answered()
    {
        (int exit, string said) = await HttpsAsync("/v1/health");
        Assert.True(exit != 0, said);
    }

    [Fact]
    public async Task Over_HTTPS_a_stranger_is_refused_and_recorded()
    {
        using OpensslPki strangers = await OpensslPki.CreateAsync(Cancel);
        await strangers.IssueAsync("mallory", "admin", GuardedTill.Ec, Cancel);
        (int exit, string said) = await HttpsAsync(
            "/v1/health", "--cert", strangers.PathOf("mallory.pem"), "--key", strangers.PathOf("mallory.key"));
        Assert.True(exit != 0, said);
        await Eventually.HoldsAsync(
            () => Records().Any(record => record.GetProperty("event").GetString() == "access_denied"
                && record.GetProperty("details").TryGetProperty("subject", out JsonElement subject)
                && subject.GetString() == "CN=mallory"),
            "no record of the stranger", Cancel);
    }

    [Fact]
    public async Task Over_HTTPS_nothing_older_than_TLS_1_3_is_spoken()
    {
        (int exit, string said) = await HttpsAsync(
            "/v1/health", "--tls-max", "1.2", "--cert", till.Pki.PathOf("admin.pem"), "--key",
            till.Pki.PathOf("admin.key"));
        Assert.True(exit != 0, said);
    }

    private Task<(int Exit, string Said)> HttpsAsync(string path, params string[] more) => GuardedTill.RunAsync(
        "curl", Cancel,
        [
            "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
            till.Pki.PathOf("https.pem"), .. more, $"https://127.0.0.1:{till.HttpsPort}{path}",
        ]);

    private async Task<int> CurlAsync(string[] before, string session)
    {
        string[] all =
        [
            .. before, "curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket",
            till.AdminSocket, "-H", $"Authorization: Bearer {session}", "http://agent/v1/status",
        ];
        (_, string said) = await GuardedTill.RunAsync(all[0], Cancel, all[1..]);
        return int.Parse(said, CultureInfo.InvariantCulture);
    }

    /// <summary>A sign-in by hand, as protocol.md §5 says it.</summary>
    private async Task<string> BeginSessionAsync()
    {
        using Socket socket = RawHttp.Connect(till.AdminSocket);
        RawAnswer asked = await RawHttp.ExchangeAsync(
            socket, RawHttp.Request("POST", "/v1/auth/challenge", "{}"), Cancel);
        string challenge = JsonDocument.Parse(asked.Body).RootElement.GetProperty("challenge").GetString()!;
        using X509Certificate2 certificate = X509Certificate2.CreateFromPemFile(
            till.Pki.PathOf("admin.pem"), till.Pki.PathOf("admin.key"));
        using ECDsa key = certificate.GetECDsaPrivateKey()!;
        byte[] text = System.Text.Encoding.ASCII.GetBytes(
            $"license-agent/management/v1||{TillFolder.OwnUid}|{challenge}");
        string call = JsonSerializer.Serialize(new
        {
            certificate_chain = new[] { Base64UrlText.Encode(certificate.RawData) },
            signature = Base64UrlText.Encode(key.SignData(text, HashAlgorithmName.SHA256)),
        });
        RawAnswer begun = await RawHttp.ExchangeAsync(
            socket, RawHttp.Request("POST", ManagementPaths.Session, call), Cancel);
        Assert.True(begun.Status == 200, begun.Body);
        return JsonDocument.Parse(begun.Body).RootElement.GetProperty("session").GetString()!;
    }

    private int Reloads() => till.Process.Said.Split("config_reloaded").Length;

    private JsonElement LastCall(string path) => Records().Last(record =>
        record.GetProperty("event").GetString() == "management_called"
        && record.GetProperty("details").GetProperty("path").GetString() == path);

    private IEnumerable<JsonElement> Records() =>
        File.ReadAllLines(till.AuditLog).Select(line => JsonDocument.Parse(line).RootElement);
}
