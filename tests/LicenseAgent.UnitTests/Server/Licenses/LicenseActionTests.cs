using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicenseServer.Licenses;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Licenses;

/// <summary><c>validate-license</c> and <c>renew-license</c>, over real requests.</summary>
public sealed class LicenseActionTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.ActiveAsync();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_good_license_is_valid_and_shows_what_it_is_for()
    {
        LicenseValidationAnswer answer = await ValidateAsync((await IssueAsync()).Token);
        Assert.Equal((true, "VALID"), (answer.Valid, answer.Reason));
        Assert.Equal((_server.Now + TimeSpan.FromDays(30)).UnixSeconds, answer.ExpiresAt!.Value.UnixSeconds);
        Assert.Equal(["sell"], answer.Features);
        Assert.Equal("north", answer.Metadata!["region"]);
    }

    [Fact]
    public async Task What_is_no_token_is_invalid_and_shows_nothing()
    {
        LicenseValidationAnswer answer = await ValidateAsync("x");
        Assert.Equal((false, "INVALID_TOKEN", null), (answer.Valid, answer.Reason, answer.Features));
    }

    [Fact]
    public async Task A_changed_token_is_invalid()
    {
        string token = (await IssueAsync()).Token;
        char last = token[^2] == 'A' ? 'B' : 'A';
        Assert.Equal("INVALID_TOKEN", (await ValidateAsync(token[..^2] + last + token[^1])).Reason);
    }

    [Fact]
    public async Task A_revoked_license_is_neither_valid_nor_renewed()
    {
        IssuedLicense issued = await IssueAsync();
        await _server.Licenses.RevokeAsync(issued.LicenseId);
        Assert.Equal("REVOKED", (await ValidateAsync(issued.Token)).Reason);
        Assert.Equal("LICENSE_REFUSED", await _agent.RefusedAsync(Renewal(issued.Token)));
    }

    [Fact]
    public async Task An_expired_license_is_neither_valid_nor_renewed()
    {
        string token = (await IssueAsync()).Token;
        _server.Clock.Now += TimeSpan.FromDays(30);
        Assert.Equal("EXPIRED", (await ValidateAsync(token)).Reason);
        Assert.Equal("LICENSE_REFUSED", await _agent.RefusedAsync(Renewal(token)));
    }

    [Fact]
    public async Task Another_agents_license_is_neither_valid_nor_renewed()
    {
        await _server.ActiveAsync(agentId: "pos-002");
        string token = (await IssueAsync("pos-002")).Token;
        Assert.Equal("WRONG_AGENT", (await ValidateAsync(token)).Reason);
        Assert.Equal("LICENSE_REFUSED", await _agent.RefusedAsync(Renewal(token)));
    }

    [Fact]
    public async Task A_version_whose_grace_is_over_is_invalidated_and_can_be_renewed()
    {
        string token = (await IssueAsync()).Token;
        await _agent.RotateAsync();
        _server.Clock.Now += TimeSpan.FromDays(20);
        Assert.Equal("SECRET_INVALIDATED", (await ValidateAsync(token)).Reason);
        LicenseRenewalAnswer renewed = await _agent.SendAsync<LicenseRenewalAnswer>(Renewal(token));
        Assert.Equal(2, renewed.SecretVersion);
        Assert.Equal("VALID", (await ValidateAsync(renewed.LicenseToken)).Reason);
        Assert.Contains("license_renewed", _server.AuditEvents());
    }

    [Fact]
    public async Task The_renewed_token_holds_the_same_signed_license()
    {
        string token = (await IssueAsync()).Token;
        await _agent.RotateAsync();
        LicenseRenewalAnswer renewed = await _agent.SendAsync<LicenseRenewalAnswer>(Renewal(token));
        Assert.Equal(_server.Licenses.Inspect(token).InnerJws, _server.Licenses.Inspect(renewed.LicenseToken).InnerJws);
        Assert.True(LicenseToken.TryParseShape(
            System.Text.Encoding.ASCII.GetBytes(renewed.LicenseToken), out LicenseTokenShape shape));
        Assert.Equal("pos-001.v2", shape.Kid);
    }

    [Fact]
    public async Task A_version_ended_by_order_as_compromised_is_not_renewed()
    {
        string token = (await IssueAsync()).Token;
        await _agent.RotateAsync();
        await _server.Agents.InvalidateBelowAsync("pos-001", 2);
        Assert.Equal("LICENSE_REFUSED", await _agent.RefusedAsync(Renewal(token)));
    }

    [Fact]
    public async Task A_license_under_a_retired_key_is_valid_and_renewed()
    {
        string token = (await IssueAsync()).Token;
        var keys = new LicenseServer.Keys.KeyDesk(_server.App.Store, _server.Clock, "operator:test");
        await keys.RotateAsync(LicenseServer.Keys.KeyFile.Scopes, [], force: true);
        await keys.RotateAsync(LicenseServer.Keys.KeyFile.Scopes, [], force: true);
        Assert.Equal("VALID", (await ValidateAsync(token)).Reason);
        await _agent.SendAsync<LicenseRenewalAnswer>(Renewal(token));
    }

    [Fact]
    public async Task Nothing_is_wrapped_for_an_agent_that_is_suspended()
    {
        string token = (await IssueAsync()).Token;
        await _server.Agents.SuspendAsync("pos-001", suspended: true);
        Assert.Equal("AGENT_SUSPENDED", await _agent.RefusedAsync(Renewal(token)));
    }

    private Task<IssuedLicense> IssueAsync(string agentId = "pos-001") => _server.Licenses.IssueAsync(
        new LicenseOrder(agentId, "register", _server.Now + TimeSpan.FromDays(30))
        {
            Features = ["sell"],
            Metadata = new Dictionary<string, string> { ["region"] = "north" },
        });

    private LicenseRenewalRequest Renewal(string token)
    {
        var (id, nonce) = TestAgent.Fresh();
        return new LicenseRenewalRequest("pos-001", id, nonce, _agent.Now, AgentActions.RenewLicense, token);
    }

    private Task<LicenseValidationAnswer> ValidateAsync(string token)
    {
        var (id, nonce) = TestAgent.Fresh();
        return _agent.SendAsync<LicenseValidationAnswer>(
            new LicenseValidationRequest("pos-001", id, nonce, _agent.Now, AgentActions.ValidateLicense, token));
    }
}
