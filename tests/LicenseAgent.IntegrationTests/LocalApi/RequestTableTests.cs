using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.UnitTests.Daemon.LocalApi;
using Xunit;

namespace LicenseAgent.IntegrationTests.LocalApi;

/// <summary>Every status of the local API, as it stands on the wire.</summary>
public sealed class RequestTableTests : IAsyncLifetime
{
    private const string Validate = "/v1/validate-license";

    private LiveSockets _live = null!;

    public async ValueTask InitializeAsync() => _live = await LiveSockets.StartAsync();

    public ValueTask DisposeAsync() => _live.DisposeAsync();

    /// <summary>Name, status, code of the problem; empty: an empty body.</summary>
    public static TheoryData<string, int, string> Table => new()
    {
        { "no such path", 404, "not_found" },
        { "wrong method", 405, "method_not_allowed" },
        { "wrong type", 415, "unsupported_media_type" },
        { "no type", 415, "unsupported_media_type" },
        { "17 KiB", 413, "too_large" },
        { "60 KiB", 413, "too_large" },
        { "17 KiB in chunks", 413, "too_large" },
        { "empty body", 400, "bad_request" },
        { "garbage body", 400, "bad_request" },
        { "unknown member", 400, "bad_request" },
        { "duplicate member", 400, "bad_request" },
        { "deep", 400, "bad_request" },
        { "missing nonce", 400, "bad_request" },
        { "short nonce", 400, "bad_request" },
        { "malformed request line", 400, "" },
        { "no host", 400, "" },
        { "head over 8 KiB", 431, "" },
        { "target over 8 KiB", 414, "" },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public async Task A_bad_request_gets_exactly_its_answer(string what, int status, string code)
    {
        RawAnswer answer = await RawHttp.ExchangeAsync(
            _live.Pos, Bad(what), TestContext.Current.CancellationToken);
        AssertAnswer(answer, status, code);
    }

    [Theory]
    [MemberData(nameof(Table))]
    public async Task A_bad_request_gets_its_answer_a_thousand_times_while_a_good_client_does_not_notice(
        string what, int status, string code)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        byte[] bad = Bad(what);
        using var over = new CancellationTokenSource();
        Task<int> good = ValidateUntil(over.Token, cancel);
        await Parallel.ForAsync(0, 1000, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancel },
            async (_, token) => AssertAnswer(await RawHttp.ExchangeAsync(_live.Pos, bad, token), status, code));
        await over.CancelAsync();
        Assert.True(await good > 0);
    }

    [Fact]
    public async Task A_request_that_ends_in_the_middle_gets_no_answer_and_harms_nobody()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        byte[] half = Good()[..^10];
        for (int i = 0; i < 100; i++)
            Assert.Equal(0, (await RawHttp.ExchangeAsync(_live.Pos, half, cancel, halfClose: true)).Status);
        Assert.Equal(200, (await RawHttp.ExchangeAsync(_live.Pos, Good(), cancel)).Status);
    }

    [Fact]
    public async Task A_head_that_does_not_come_gets_408()
    {
        await using LiveSockets hasty = await LiveSockets.StartAsync(
            pos => pos with { HeaderTimeout = TimeSpan.FromMilliseconds(100) });
        RawAnswer answer = await RawHttp.ExchangeAsync(
            hasty.Pos, "POST / HTTP/1.1\r\nHost:"u8.ToArray(), TestContext.Current.CancellationToken);
        AssertAnswer(answer, 408, "");
    }

    [Fact]
    public async Task A_good_request_is_answered_with_its_license()
    {
        RawAnswer answer = await RawHttp.ExchangeAsync(_live.Pos, Good(), TestContext.Current.CancellationToken);
        JsonElement json = JsonDocument.Parse(answer.Body).RootElement;
        Assert.Equal((200, "VALID"), (answer.Status, json.GetProperty("reason").GetString()));
        Assert.Equal("lic-1", json.GetProperty("license_id").GetString());
    }

    [Fact]
    public async Task One_connection_serves_many_requests()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using System.Net.Sockets.Socket socket = RawHttp.Connect(_live.Pos);
        for (int i = 0; i < 100; i++)
            Assert.Equal(200, (await RawHttp.ExchangeAsync(socket, Good(), cancel)).Status);
    }

    [Fact]
    public async Task A_nonce_is_accepted_once()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        byte[] good = Good();
        await RawHttp.ExchangeAsync(_live.Pos, good, cancel);
        AssertAnswer(await RawHttp.ExchangeAsync(_live.Pos, good, cancel), 409, "nonce_replayed");
    }

    [Fact]
    public async Task A_refused_request_consumes_no_nonce()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string json = Json(out _);
        await RawHttp.ExchangeAsync(_live.Pos, RawHttp.Request("POST", Validate, json, "text/plain"), cancel);
        await RawHttp.ExchangeAsync(_live.Pos, RawHttp.Request("POST", Validate, json[..^1] + ",\"x\":1}"), cancel);
        byte[] good = RawHttp.Request("POST", Validate, json);
        Assert.Equal(200, (await RawHttp.ExchangeAsync(_live.Pos, good, cancel)).Status);
    }

    [Fact]
    public async Task Over_the_rate_the_answer_says_when_to_come_back()
    {
        await using LiveSockets slow = await LiveSockets.StartAsync(pos => pos with { Rate = 1, Burst = 2 });
        CancellationToken cancel = TestContext.Current.CancellationToken;
        byte[] health = RawHttp.Request("GET", "/v1/health");
        await RawHttp.ExchangeAsync(slow.Pos, health, cancel);
        await RawHttp.ExchangeAsync(slow.Pos, health, cancel);
        RawAnswer answer = await RawHttp.ExchangeAsync(slow.Pos, health, cancel);
        AssertAnswer(answer, 429, "rate_limited");
        Assert.Contains("Retry-After: 1", answer.Head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_for_the_rate_is_kept_back_and_no_other_answer_is()
    {
        var time = new CountedTime();
        await using LiveSockets slow = await LiveSockets.StartAsync(pos => pos with { Rate = 1, Burst = 1 }, time);
        CancellationToken cancel = TestContext.Current.CancellationToken;
        byte[] health = RawHttp.Request("GET", "/v1/health");
        Assert.Equal(200, (await RawHttp.ExchangeAsync(slow.Pos, health, cancel)).Status);
        Assert.DoesNotContain(PosApi.RefusalHold, time.Waits);
        Assert.Equal(429, (await RawHttp.ExchangeAsync(slow.Pos, health, cancel)).Status);
        Assert.Contains(PosApi.RefusalHold, time.Waits);
    }

    private async Task<int> ValidateUntil(CancellationToken over, CancellationToken cancel)
    {
        using System.Net.Sockets.Socket socket = RawHttp.Connect(_live.Pos);
        int answered = 0;
        do
        {
            Assert.Equal(200, (await RawHttp.ExchangeAsync(socket, Good(), cancel)).Status);
            answered++;
        }
        while (!over.IsCancellationRequested);
        return answered;
    }

    private static void AssertAnswer(RawAnswer answer, int status, string code)
    {
        Assert.Equal(status, answer.Status);
        if (code.Length == 0)
        {
            Assert.Empty(answer.Body);
            return;
        }
        Assert.Contains("application/problem+json", answer.Head, StringComparison.Ordinal);
        JsonElement problem = JsonDocument.Parse(answer.Body).RootElement;
        Assert.Equal(code, problem.GetProperty("code").GetString());
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
    }

    private byte[] Good() => RawHttp.Request("POST", Validate, Json(out _));

    private byte[] Bad(string what)
    {
        string json = Json(out string nonce);
        string padded = json[..^1] + new string(' ', 17 * 1024) + "}";
        return what switch
        {
            "no such path" => RawHttp.Request("POST", "/v1/validate", json),
            "wrong method" => RawHttp.Request("PUT", Validate, json),
            "wrong type" => RawHttp.Request("POST", Validate, json, "text/plain"),
            "no type" => RawHttp.Request("POST", Validate, json, null),
            "17 KiB" => RawHttp.Request("POST", Validate, padded),
            "60 KiB" => RawHttp.Request("POST", Validate, new string('x', 60 * 1024)),
            "17 KiB in chunks" => Chunked(padded),
            "empty body" => RawHttp.Request("POST", Validate, ""),
            "garbage body" => RawHttp.Request("POST", Validate, "\u0001\ufffdnot json"),
            "unknown member" => RawHttp.Request("POST", Validate, json[..^1] + ",\"x\":1}"),
            "duplicate member" => RawHttp.Request("POST", Validate, json[..^1] + $",\"nonce\":\"{nonce}\"}}"),
            "deep" => RawHttp.Request("POST", Validate, new string('[', 100) + new string(']', 100)),
            "missing nonce" => RawHttp.Request("POST", Validate, """{"license_token":"x"}"""),
            "short nonce" => RawHttp.Request("POST", Validate, """{"license_token":"x","nonce":"AAAA"}"""),
            "malformed request line" => "GARBAGE\r\n\r\n"u8.ToArray(),
            "no host" => "GET /v1/health HTTP/1.1\r\n\r\n"u8.ToArray(),
            "head over 8 KiB" => Encoding.ASCII.GetBytes(
                $"GET /v1/health HTTP/1.1\r\nHost: agent\r\nX: {new string('x', 9000)}\r\n\r\n"),
            "target over 8 KiB" => RawHttp.Request("GET", "/" + new string('x', 9000)),
            _ => throw new ArgumentOutOfRangeException(nameof(what)),
        };
    }

    private string Json(out string nonce)
    {
        nonce = Base64UrlText.Encode(RandomNumberGenerator.GetBytes(16));
        string token = Encoding.ASCII.GetString(_live.Bench.Mint(LocalBench.Claims()));
        return $$"""{"license_token":"{{token}}","nonce":"{{nonce}}"}""";
    }

    private static byte[] Chunked(string body) => Encoding.ASCII.GetBytes(
        $"POST {Validate} HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
        + $"Transfer-Encoding: chunked\r\n\r\n{body.Length:x}\r\n{body}\r\n0\r\n\r\n");

    /// <summary>Every wait is over at once, and noted.</summary>
    private sealed class CountedTime : TimeProvider
    {
        public ConcurrentQueue<TimeSpan> Waits { get; } = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Waits.Enqueue(dueTime);
            return System.CreateTimer(callback, state, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }
}
