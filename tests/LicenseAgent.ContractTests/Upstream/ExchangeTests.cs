using System.Net;
using System.Net.Sockets;
using System.Text;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace LicenseAgent.ContractTests.Upstream;

/// <summary>What counts as a complete answer, and how often a request is sent.</summary>
public sealed class ExchangeTests : IDisposable
{
    private const string Name = "license-server";

    private readonly DeadlineClock _time = new();
    private readonly TestAuthority _authority = new(DateTimeOffset.UnixEpoch.AddYears(70));
    private readonly TlsUpstream _upstream;

    public ExchangeTests() => _upstream = new TlsUpstream(_time);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _upstream.Dispose();
        _authority.Dispose();
    }

    [Fact]
    public async Task The_server_gets_method_path_type_name_and_bytes()
    {
        string seen = "";
        await using var server = await StartAsync(async context =>
        {
            var request = context.Request;
            using var reader = new StreamReader(request.Body);
            seen = $"{request.Method} {request.Path} {request.ContentType} {request.Host.Host} "
                + await reader.ReadToEndAsync(Cancel);
        });
        await PostAsync();
        Assert.Equal("POST /api/v1/check-in application/jose license-server body", seen);
    }

    [Fact]
    public async Task A_GET_carries_no_body_and_no_type()
    {
        string? seen = null;
        await using var server = await StartAsync(context =>
        {
            seen = $"{context.Request.Method} {context.Request.ContentType} {context.Request.ContentLength}";
            return Task.CompletedTask;
        });
        await _upstream.ExchangeAsync("GET", "/api/v1/keyset", default, TimeSpan.FromMinutes(1), Cancel);
        Assert.Equal("GET  ", seen);
    }

    [Theory]
    [InlineData("17", 17)]
    [InlineData("0", 0)]
    [InlineData("Fri, 01 Jan 2038 00:00:00 GMT", null)]
    [InlineData("soon", null)]
    [InlineData("-5", null)]
    public async Task Retry_After_is_read_in_seconds_only(string header, int? seconds)
    {
        await using var server = await StartAsync(context =>
        {
            context.Response.StatusCode = 429;
            context.Response.Headers.RetryAfter = header;
            return Task.CompletedTask;
        });
        var answer = await PostAsync();
        Assert.Equal((429, seconds), (answer.Status, (int?)answer.RetryAfter?.TotalSeconds));
    }

    [Fact]
    public async Task A_redirect_is_an_answer_and_is_not_followed()
    {
        await using var server = await StartAsync(context =>
        {
            context.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        });
        Assert.Equal(302, (await PostAsync()).Status);
        Assert.Equal(1, server.Requests);
    }

    [Fact]
    public async Task Cookies_are_not_kept_and_content_is_not_unpacked()
    {
        string? cookies = null;
        await using var server = await StartAsync(context =>
        {
            cookies = context.Request.Headers.Cookie + context.Request.Headers.AcceptEncoding;
            context.Response.Headers.SetCookie = "a=b";
            context.Response.Headers.ContentEncoding = "gzip";
            return context.Response.WriteAsync("plain");
        });
        await PostAsync();
        Assert.Equal("plain", Encoding.UTF8.GetString((await PostAsync()).Body));
        Assert.Equal("", cookies);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_answer_of_the_greatest_size_is_read_and_one_byte_more_is_not(bool lengthTold)
    {
        int size = AgentApiLimits.AnswerBytes;
        await using var server = await StartAsync(async context =>
        {
            if (lengthTold)
                context.Response.ContentLength = size;
            await context.Response.Body.WriteAsync(new byte[size], Cancel);
        });
        Assert.Equal(size, (await PostAsync()).Body.Length);
        size++;
        await NoContactAsync("too_large");
    }

    [Fact]
    public async Task A_cut_answer_is_no_answer()
    {
        await using var server = await StartAsync(async context =>
        {
            context.Response.ContentLength = 100;
            await context.Response.WriteAsync("half", Cancel);
            await context.Response.Body.FlushAsync(Cancel);
            context.Abort();
        });
        await NoContactAsync("incomplete");
    }

    [Fact]
    public async Task A_POST_whose_answer_never_came_was_sent_once()
    {
        await using var server = await StartAsync(context =>
        {
            if (context.Request.Headers.Connection.Count == 0)
                context.Abort();
            return Task.CompletedTask;
        });
        await NoContactAsync("incomplete");
        Assert.Equal(1, server.Requests);
    }

    [Fact]
    public async Task A_server_that_never_answers_is_given_up_at_the_deadline()
    {
        var arrived = new TaskCompletionSource();
        await using var server = await StartAsync(async context =>
        {
            arrived.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
        });
        var exchange = PostAsync();
        await arrived.Task;
        Assert.False(exchange.IsCompleted);
        _time.Pass();
        Assert.Equal("timeout", (await Assert.ThrowsAsync<NoContactException>(() => exchange)).Reason);
    }

    [Fact]
    public async Task A_server_that_answers_half_is_given_up_at_the_deadline()
    {
        var arrived = new TaskCompletionSource();
        await using var server = await StartAsync(async context =>
        {
            await context.Response.WriteAsync("half", Cancel);
            await context.Response.Body.FlushAsync(Cancel);
            arrived.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
        });
        var exchange = PostAsync();
        await arrived.Task;
        _time.Pass();
        Assert.Equal("timeout", (await Assert.ThrowsAsync<NoContactException>(() => exchange)).Reason);
    }

    [Fact]
    public async Task A_peer_that_never_shakes_hands_is_given_up_at_the_deadline()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Configure($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}", OtherPin());
        var exchange = PostAsync();
        using var peer = await listener.AcceptTcpClientAsync(Cancel);
        _time.Pass();
        Assert.Equal("timeout", (await Assert.ThrowsAsync<NoContactException>(() => exchange)).Reason);
    }

    [Fact]
    public async Task A_cancelled_exchange_is_cancelled_and_no_fault_of_the_server()
    {
        var arrived = new TaskCompletionSource();
        await using var server = await StartAsync(async context =>
        {
            arrived.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
        });
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var exchange = _upstream.ExchangeAsync("POST", "/", new byte[1], TimeSpan.FromMinutes(1), stopping.Token);
        await arrived.Task;
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => exchange);
    }

    [Fact]
    public async Task A_peer_that_does_not_speak_TLS_is_said_to()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Configure($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}", OtherPin());
        var exchange = PostAsync();
        using (var peer = await listener.AcceptTcpClientAsync(Cancel))
        {
            await peer.GetStream().WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), Cancel);
            Assert.Equal("tls_handshake", (await Assert.ThrowsAsync<NoContactException>(() => exchange)).Reason);
        }
    }

    private async Task<TlsServer> StartAsync(RequestDelegate handler)
    {
        var certificate = _authority.Server(Name);
        var server = await TlsServer.StartAsync(new TlsServerOptions(certificate) { Handler = handler });
        Configure(server.Url, SpkiPin.Of(certificate).ToString());
        return server;
    }

    private void Configure(string url, string pin) =>
        _upstream.Configure(new UpstreamSettings(url, Name, [pin], _authority.Der, null, new UtcTime(0)));

    private string OtherPin()
    {
        using var other = _authority.Server(Name);
        return SpkiPin.Of(other).ToString();
    }

    private Task<UpstreamAnswer> PostAsync() =>
        _upstream.ExchangeAsync("POST", "/api/v1/check-in", "body"u8.ToArray(), TimeSpan.FromSeconds(30), Cancel);

    private async Task NoContactAsync(string reason)
    {
        var error = await Assert.ThrowsAsync<NoContactException>(PostAsync);
        Assert.True(reason == error.Reason, $"{error.Reason}: {error.Message}");
    }
}
