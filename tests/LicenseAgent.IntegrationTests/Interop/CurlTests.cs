using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.IntegrationTests.Interop;

/// <summary>
/// An application in any language needs no library of ours: one line of curl does what the client does.
/// </summary>
public sealed class CurlTests(JoseTill jose) : IClassFixture<JoseTill>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Curl_validates_a_license_as_the_client_does()
    {
        string token = await LostAnswerTests.IssueAsync(jose.Till);
        LicenseValidation client = await jose.Till.ValidateAsync(token);
        string nonce = NewNonce();

        JsonElement curl = await CurlAsync(LocalPaths.ValidateLicense, Request(token, nonce));

        Assert.Equal((true, nonce), (curl.GetProperty("valid").GetBoolean(), curl.GetProperty("nonce").GetString()));
        Assert.Equal(
            (client.Reason, client.LicenseId, client.Product, client.SecretVersion),
            (curl.GetProperty("reason").GetString(), curl.GetProperty("license_id").GetString(),
                curl.GetProperty("product").GetString(), curl.GetProperty("secret_version").GetInt64()));
    }

    [Fact]
    public async Task Curl_reads_the_health_that_the_client_reads()
    {
        using LicenseAgentClient client = new(new LicenseAgentClientOptions
        {
            SocketPath = jose.Till.Folder.PosSocket,
            VendorKeys = [],
        });
        HealthResponse health = await client.HealthAsync(Cancel);

        JsonElement curl = await CurlAsync(LocalPaths.Health);

        Assert.Equal(
            (health.Status, health.Mode),
            (curl.GetProperty("status").GetString(), curl.GetProperty("mode").GetString()));
    }

    [Fact]
    public async Task A_nonce_that_curl_uses_twice_is_refused()
    {
        string request = Request(await LostAnswerTests.IssueAsync(jose.Till), NewNonce());
        await CurlAsync(LocalPaths.ValidateLicense, request);

        JsonElement again = await CurlAsync(LocalPaths.ValidateLicense, request);

        Assert.Equal("nonce_replayed", again.GetProperty("code").GetString());
    }

    private static string NewNonce() => Base64UrlText.Encode(RandomNumberGenerator.GetBytes(Nonce16.Length));

    private static string Request(string token, string nonce) =>
        $$"""{"license_token":"{{token}}","nonce":"{{nonce}}"}""";

    private async Task<JsonElement> CurlAsync(string path, string? json = null)
    {
        string[] body = json is null ? [] : ["--json", json];
        var start = new ProcessStartInfo(
            "curl",
            [
                "-sS", "--max-time", "60", "--unix-socket", jose.Till.Folder.PosSocket, .. body,
                "http://localhost" + path,
            ])
        {
            RedirectStandardOutput = true,
        };
        using Process curl = Process.Start(start)!;
        string output = await curl.StandardOutput.ReadToEndAsync(Cancel);
        await curl.WaitForExitAsync(Cancel);
        Assert.Equal(0, curl.ExitCode);
        return JsonDocument.Parse(output).RootElement;
    }
}
