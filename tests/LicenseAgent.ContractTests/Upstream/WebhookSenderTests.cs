using System.Net;
using System.Net.Sockets;
using System.Text;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.ContractTests.Upstream;

/// <summary>The webhook against a real HTTP receiver that answers, fails, hangs, redirects and is away.</summary>
public sealed class WebhookSenderTests : IDisposable
{
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(60);

    private readonly TcpListener _receiver = new(IPAddress.Loopback, 0);
    private readonly WebhookSender _sender = new(TimeProvider.System);
    private readonly string _url;

    public WebhookSenderTests()
    {
        _receiver.Start();
        _url = $"http://{_receiver.LocalEndpoint}/hook";
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _sender.Dispose();
        _receiver.Dispose();
    }

    [Fact]
    public async Task Body_and_signature_arrive_as_they_are()
    {
        Task<string> got = AnswerAsync("HTTP/1.1 204 No Content\r\n\r\n");
        Assert.Equal(204, await PostAsync(Enough));
        string request = await got;
        Assert.StartsWith("POST /hook HTTP/1.1\r\n", request, StringComparison.Ordinal);
        Assert.Contains("\r\nContent-Type: application/json\r\n", request, StringComparison.Ordinal);
        Assert.Contains("\r\nLicense-Agent-Signature: t=1,v1=00\r\n", request, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n{\"alert\":\"a\"}", request, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_is_its_status()
    {
        _ = AnswerAsync("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(500, await PostAsync(Enough));
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        _ = AnswerAsync($"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{_receiver.LocalEndpoint}/else\r\n"
            + "Content-Length: 0\r\n\r\n");
        Assert.Equal(307, await PostAsync(Enough));
    }

    [Fact]
    public async Task A_receiver_that_takes_the_request_and_never_answers_is_given_up_at_the_deadline()
    {
        Task<string> got = AnswerAsync("");
        var late = await Assert.ThrowsAsync<WebhookException>(() => PostAsync(TimeSpan.FromMilliseconds(200)));
        Assert.Equal("webhook_timeout", late.Reason);
        _receiver.Stop();
        await Task.WhenAny(got);
    }

    [Fact]
    public async Task A_receiver_that_is_away_is_unreachable_and_reached_again_when_it_is_back()
    {
        var address = (IPEndPoint)_receiver.LocalEndpoint;
        _receiver.Stop();
        var away = await Assert.ThrowsAsync<WebhookException>(() => PostAsync(Enough));
        Assert.Equal("webhook_unreachable", away.Reason);
        using var back = new TcpListener(address);
        back.Start();
        _ = AnswerAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", back);
        Assert.Equal(200, await PostAsync(Enough));
    }

    [Fact]
    public async Task A_stop_is_no_failure_of_the_receiver()
    {
        using var stopped = new CancellationTokenSource();
        Task<int> posting = _sender.PostAsync(_url, "{}"u8.ToArray(), "t=1,v1=00", Enough, stopped.Token);
        using TcpClient taken = await _receiver.AcceptTcpClientAsync(Cancel);
        await stopped.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => posting);
    }

    private Task<int> PostAsync(TimeSpan deadline) =>
        _sender.PostAsync(_url, "{\"alert\":\"a\"}"u8.ToArray(), "t=1,v1=00", deadline, Cancel);

    /// <summary>Takes one request whole and gives one answer; an empty one leaves the caller waiting.</summary>
    private async Task<string> AnswerAsync(string answer, TcpListener? receiver = null)
    {
        using TcpClient client = await (receiver ?? _receiver).AcceptTcpClientAsync(Cancel);
        NetworkStream stream = client.GetStream();
        byte[] buffer = new byte[8192];
        int length = 0;
        while (!Encoding.ASCII.GetString(buffer, 0, length).EndsWith('}'))
        {
            int count = await stream.ReadAsync(buffer.AsMemory(length), Cancel);
            if (count == 0)
                break;
            length += count;
        }
        if (answer.Length > 0)
            await stream.WriteAsync(Encoding.ASCII.GetBytes(answer), Cancel);
        else
            _ = await stream.ReadAsync(buffer, Cancel);
        return Encoding.ASCII.GetString(buffer, 0, length);
    }
}
