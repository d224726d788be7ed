using System.Net.Http.Headers;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>
/// Alerts over HTTP: no redirects, no proxy, no cookies, the platform's authorities; the body of an answer is not read.
/// </summary>
internal sealed class WebhookSender : IWebhook, IDisposable
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    // A receiver that moved is found again by its name.
    private static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(5);

    private readonly TimeProvider _time;
    private readonly HttpClient _client = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        ConnectTimeout = ConnectTimeout,
        PooledConnectionLifetime = ConnectionLifetime,
        MaxConnectionsPerServer = 1,
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    public WebhookSender(TimeProvider time) => _time = time;

    public async Task<int> PostAsync(
        string url, ReadOnlyMemory<byte> body, string signature, TimeSpan deadline, CancellationToken cancel)
    {
        Uri to = new(url);
        using var late = new CancellationTokenSource(deadline, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancel);
        using var request = new HttpRequestMessage(HttpMethod.Post, to) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("License-Agent-Signature", signature);
        try
        {
            using HttpResponseMessage answer = await _client.SendAsync(
                request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            return (int)answer.StatusCode;
        }
        catch (OperationCanceledException e) when (!cancel.IsCancellationRequested)
        {
            throw new WebhookException(
                "webhook_timeout", $"{to.Host} did not answer within {deadline.TotalSeconds:0} s", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new WebhookException("webhook_unreachable", $"{to.Host} cannot be reached: {e.Message}", e);
        }
    }

    public void Dispose() => _client.Dispose();
}
