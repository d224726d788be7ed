using System.Text;
using System.Text.Json;
using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.LocalApi;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.UnitTests.Daemon.LocalApi;
using Xunit;

namespace LicenseAgent.IntegrationTests.Client;

/// <summary>The client against the agent's sockets, and against others in the agent's place.</summary>
public sealed class LicenseAgentClientTests : IAsyncLifetime
{
    private LiveSockets _live = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _live = await LiveSockets.StartAsync();

    public ValueTask DisposeAsync() => _live.DisposeAsync();

    [Fact]
    public async Task A_good_license_is_valid_and_allows_its_features()
    {
        using LicenseAgentClient client = Client(_live.Pos);
        LicenseValidation license = await client.ValidateAsync(Token(), Cancel);
        Assert.Equal((true, "VALID", "lic-1", "till"), (license.IsValid, license.Reason, license.LicenseId, license.Product));
        Assert.True(license.Allows("sale"));
        Assert.False(license.Allows("Sale"));
    }

    [Theory]
    [InlineData("nonsense", ValidationReasons.InvalidToken)]
    [InlineData("ünsinn", ValidationReasons.InvalidToken)]
    public async Task A_bad_token_is_an_answer_and_no_exception(string token, string reason)
    {
        using LicenseAgentClient client = Client(_live.Pos);
        Assert.Equal(reason, (await client.ValidateAsync(token, Cancel)).Reason);
    }

    [Fact]
    public async Task A_token_longer_than_any_request_is_an_answer_and_no_exception()
    {
        using LicenseAgentClient client = Client(_live.Pos);
        Assert.Equal("INVALID_TOKEN", (await client.ValidateAsync(new string('x', 100_000), Cancel)).Reason);
    }

    [Fact]
    public async Task A_renewed_token_is_stored_and_works()
    {
        var store = new MemoryLicenseTokenStore(Token(version: 5));
        using LicenseAgentClient client = Client(_live.Pos, store);
        Assert.Equal(5, (await client.ValidateStoredAsync(Cancel)).SecretVersion);
        Assert.Equal(6, (await client.ValidateStoredAsync(Cancel)).SecretVersion);
    }

    [Fact]
    public async Task A_store_that_fails_leaves_the_license_valid_and_says_so()
    {
        using LicenseAgentClient client = Client(_live.Pos, new FullStore(Token(version: 5)));
        LicenseValidation license = await client.ValidateStoredAsync(Cancel);
        Assert.Equal((true, "disk full"), (license.IsValid, license.StoreFailure?.Message));
    }

    [Fact]
    public async Task An_empty_store_is_an_answer()
    {
        using LicenseAgentClient client = Client(_live.Pos, new MemoryLicenseTokenStore(null));
        Assert.Equal(LicenseValidation.NoToken, (await client.ValidateStoredAsync(Cancel)).Reason);
    }

    [Fact]
    public async Task Many_validations_at_a_time_are_all_answered()
    {
        using LicenseAgentClient client = Client(_live.Pos);
        string token = Token();
        LicenseValidation[] all = await Task.WhenAll(
            Enumerable.Range(0, 200).Select(_ => client.ValidateAsync(token, Cancel)));
        Assert.All(all, license => Assert.True(license.IsValid));
    }

    [Fact]
    public async Task Health_says_until_when()
    {
        using LicenseAgentClient client = Client(_live.Pos);
        HealthResponse health = await client.HealthAsync(Cancel);
        Assert.Equal(("READY", LocalBench.Start + 8 * LocalBench.Day), (health.Status, health.CanValidateUntil));
    }

    [Fact]
    public async Task Not_ready_is_an_answer()
    {
        _live.Bench.Snapshot = _live.Bench.Snapshot with { Active = null };
        using LicenseAgentClient client = Client(_live.Pos);
        Assert.Equal("NOT_READY", (await client.HealthAsync(Cancel)).Status);
    }

    [Fact]
    public async Task No_socket_is_unreachable()
    {
        using LicenseAgentClient client = Client(Path.Combine(_live.Home, "nothing.sock"));
        Assert.Equal(AgentFault.Unreachable, (await FaultAsync(client)).Fault);
    }

    [Fact]
    public async Task A_user_who_is_not_listed_is_not_permitted()
    {
        await using LiveSockets others = await LiveSockets.StartAsync(pos => pos with { AllowedUids = [1001] });
        using LicenseAgentClient client = Client(others.Pos);
        for (int i = 0; i < 100; i++)
            Assert.Equal(AgentFault.NotPermitted, (await FaultAsync(client)).Fault);
    }

    [Fact]
    public async Task Over_the_rate_the_agent_is_busy_and_says_how_long()
    {
        await using LiveSockets slow = await LiveSockets.StartAsync(pos => pos with { Rate = 1, Burst = 1 });
        using LicenseAgentClient client = Client(slow.Pos);
        await client.HealthAsync(Cancel);
        AgentException busy = await FaultAsync(client);
        Assert.Equal((AgentFault.Busy, TimeSpan.FromSeconds(1)), (busy.Fault, busy.RetryAfter));
    }

    [Fact]
    public async Task A_connection_that_breaks_is_tried_again_with_another_nonce()
    {
        using var agent = new FakeAgent(_ => null, Invalid);
        using LicenseAgentClient client = Client(agent.Path);
        Assert.Equal("EXPIRED", (await client.ValidateAsync("x", Cancel)).Reason);
        Assert.Equal(2, agent.Requests.Select(NonceOf).Distinct().Count());
    }

    [Fact]
    public async Task A_connection_that_breaks_twice_is_unreachable()
    {
        using var agent = new FakeAgent(_ => null, _ => null);
        using LicenseAgentClient client = Client(agent.Path);
        Assert.Equal(AgentFault.Unreachable, (await FaultAsync(client)).Fault);
    }

    [Fact]
    public async Task A_yes_without_the_vendors_license_is_no_yes()
    {
        using var agent = new FakeAgent(request => FakeAgent.Json(200, Said(request, """
            "valid":true,"reason":"VALID","license_id":"lic-1","product":"till","license":"a.b.c"
            """)));
        using LicenseAgentClient client = Client(agent.Path);
        LicenseValidation license = await client.ValidateAsync("x", Cancel);
        Assert.Equal((false, LicenseValidation.Unverified), (license.IsValid, license.Reason));
    }

    [Theory]
    [InlineData("nonce")]
    [InlineData("json")]
    [InlineData("html")]
    [InlineData("not http")]
    public async Task An_answer_of_something_else_is_not_understood(string what)
    {
        using var agent = new FakeAgent(request => what switch
        {
            "nonce" => Invalid(request).Replace(NonceOf(request), "AAAAAAAAAAAAAAAAAAAAAA", StringComparison.Ordinal),
            "json" => FakeAgent.Json(200, """{"valid":1}"""),
            "html" => FakeAgent.Json(500, "<html>", "text/html"),
            _ => "220 mail.example ESMTP\r\n",
        });
        using LicenseAgentClient client = Client(agent.Path);
        Assert.Equal(AgentFault.NotUnderstood, (await FaultAsync(client)).Fault);
    }

    [Fact]
    public async Task A_silent_agent_is_unreachable_when_the_time_is_up()
    {
        using var agent = new FakeAgent(_ => "");
        using var client = new LicenseAgentClient(
            Options(agent.Path, null) with { Timeout = TimeSpan.FromMilliseconds(50) });
        Assert.Equal(AgentFault.Unreachable, (await FaultAsync(client)).Fault);
    }

    [Fact]
    public async Task A_call_can_be_cancelled()
    {
        using var agent = new FakeAgent(_ => "");
        using LicenseAgentClient client = Client(agent.Path);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        Task<LicenseValidation> call = client.ValidateAsync("x", cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    private LicenseAgentClient Client(string socket, ILicenseTokenStore? store = null) => new(Options(socket, store));

    private LicenseAgentClientOptions Options(string socket, ILicenseTokenStore? store) => new()
    {
        VendorKeys = [_live.Bench.ServerKey],
        SocketPath = socket,
        TokenStore = store,
        Timeout = TimeSpan.FromSeconds(30),
        Clock = _live.Bench.Time,
    };

    private string Token(long version = 6) => Encoding.ASCII.GetString(_live.Bench.Mint(LocalBench.Claims(), version));

    private static async Task<AgentException> FaultAsync(LicenseAgentClient client) =>
        await Assert.ThrowsAsync<AgentException>(() => client.ValidateAsync("x", Cancel));

    private static string Invalid(string request) =>
        FakeAgent.Json(200, Said(request, """ "valid":false,"reason":"EXPIRED" """));

    private static string Said(string request, string members) =>
        $$"""{"mode":"NORMAL","protection":"tpm","nonce":"{{NonceOf(request)}}",{{members}}}""";

    private static string NonceOf(string request) =>
        JsonDocument.Parse(request).RootElement.GetProperty("nonce").GetString()!;

    private sealed class FullStore(string token) : ILicenseTokenStore
    {
        public ValueTask<string?> ReadAsync(CancellationToken cancel) => new(token);

        public ValueTask ReplaceAsync(string presented, string renewed, CancellationToken cancel) =>
            throw new IOException("disk full");
    }
}
