using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Management;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>Alerts of a real till at a real receiver, which fails first.</summary>
public sealed class WebhookTests
{
    private static readonly byte[] Secret = "shared with the receiver"u8.ToArray();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_dead_TPM_is_told_signed_and_again_after_the_receiver_failed_and_its_return_too()
    {
        using var receiver = new TcpListener(IPAddress.Loopback, 0);
        receiver.Start();
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, TimeSpan.FromSeconds(2));
        await File.WriteAllBytesAsync(till.Folder.WebhookSecretFile, [.. Secret, (byte)'\n'], Cancel);
        till.Reconfigure(s => s with { WebhookUrl = $"http://{receiver.LocalEndpoint}/alerts" });
        ReloadOutcome reloaded = (await till.Operator.ReloadAsync(Cancel)).Value;
        Assert.Equal(["alerts.webhook_secret_file", "alerts.webhook_url"], reloaded.Changed);

        await till.Tpm.KillAsync();
        Dictionary<string, string> failed = await TakeAsync(receiver, "HTTP/1.1 503 Service Unavailable");
        Dictionary<string, string> raised = await TakeAsync(receiver, "HTTP/1.1 204 No Content");
        Assert.Equal(failed["id"], raised["id"]);
        Assert.Equal(
            ("alert_raised", "tpm_unavailable", LiveTill.Name), (raised["event"], raised["alert"], raised["agent_id"]));

        await till.Tpm.RestartAsync(Cancel);
        Dictionary<string, string> cleared = await TakeAsync(receiver, "HTTP/1.1 204 No Content");
        Assert.Equal(("alert_cleared", "tpm_unavailable"), (cleared["event"], cleared["alert"]));
    }

    /// <summary>Takes one request, checks its signature and answers.</summary>
    private static async Task<Dictionary<string, string>> TakeAsync(TcpListener receiver, string status)
    {
        using TcpClient client = await receiver.AcceptTcpClientAsync(Cancel);
        NetworkStream stream = client.GetStream();
        byte[] buffer = new byte[16 * 1024];
        int length = 0;
        while (!Encoding.UTF8.GetString(buffer, 0, length).EndsWith('}'))
            length += await stream.ReadAsync(buffer.AsMemory(length), Cancel);
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes($"{status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), Cancel);
        string request = Encoding.UTF8.GetString(buffer, 0, length);
        string body = request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        string signature = request.Split("License-Agent-Signature: ")[1].Split('\r')[0];
        string seconds = signature.Split("t=")[1].Split(',')[0];
        byte[] mac = HMACSHA256.HashData(Secret, Encoding.UTF8.GetBytes($"{seconds}.{body}"));
        Assert.Equal($"t={seconds},v1={Convert.ToHexStringLower(mac)}", signature);
        using JsonDocument notice = JsonDocument.Parse(body);
        return notice.RootElement.EnumerateObject().ToDictionary(m => m.Name, m => m.Value.ToString());
    }
}
