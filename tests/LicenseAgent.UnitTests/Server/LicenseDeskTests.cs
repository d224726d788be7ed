using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;
using LicenseServer.Agents;
using LicenseServer.Licenses;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class LicenseDeskTests : IAsyncLifetime
{
    private ServerHarness _server = null!;

    public async ValueTask InitializeAsync() => _server = await ServerHarness.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_token_opens_with_the_agents_secret_and_says_what_was_ordered()
    {
        var agent = await _server.ActiveAsync(2);
        var order = Order() with
        {
            LicenseId = "lic-7",
            Features = ["scan", "print"],
            Metadata = new Dictionary<string, string> { ["shop"] = "Aachen" },
        };
        var issued = await _server.Licenses.IssueAsync(order);
        var claims = Open(issued, agent.Secrets[2]);
        Assert.Equal(("lic-7", "till", "localhost"), (claims.Sub, claims.Product, claims.Iss));
        Assert.Equal(["pos-001"], claims.Aud);
        Assert.Equal(["scan", "print"], claims.Features);
        Assert.Equal("Aachen", claims.Metadata["shop"]);
        Assert.Equal(order.Expires.UnixSeconds, claims.Exp);
    }

    [Fact]
    public async Task Nothing_is_minted_before_the_first_confirm()
    {
        var agent = await _server.EnrolAsync();
        await agent.PrepareAsync();
        await RefusedAsync(Order());
    }

    [Fact]
    public async Task While_a_version_is_PENDING_tokens_are_minted_under_ACTIVE()
    {
        var agent = await _server.ActiveAsync(2);
        await agent.PrepareAsync();
        Assert.Equal(2, (await _server.Licenses.IssueAsync(Order())).SecretVersion);
    }

    [Fact]
    public async Task Nothing_is_minted_under_a_version_that_the_agent_does_not_hold_any_more()
    {
        var agent = await _server.ActiveAsync(1);
        await agent.SendAsync<LicenseAgent.Protocol.Messages.CheckInAnswer>(
            agent.CheckInRequest() with { HeldVersions = [] });
        await RefusedAsync(Order());
    }

    [Fact]
    public async Task A_license_that_would_have_expired_is_refused()
    {
        await _server.ActiveAsync(1);
        await RefusedAsync(Order() with { Expires = _server.Now });
    }

    [Fact]
    public async Task A_license_out_of_its_limits_is_refused_and_not_kept()
    {
        await _server.ActiveAsync(1);
        await RefusedAsync(Order() with { Product = new string('x', 129) });
        Assert.Empty(_server.Licenses.Page(null, "", 10));
    }

    [Fact]
    public async Task A_revoked_license_is_not_issued_again_and_is_listed_as_revoked()
    {
        await _server.ActiveAsync(1);
        await _server.Licenses.IssueAsync(Order() with { LicenseId = "lic-1" });
        await _server.Licenses.RevokeAsync("lic-1");
        await RefusedAsync(Order() with { LicenseId = "lic-1" });
        Assert.True(Assert.Single(_server.Licenses.Page("pos-001", "", 10)).IsRevoked);
    }

    [Fact]
    public async Task Revoking_twice_counts_once()
    {
        await _server.ActiveAsync(1);
        await _server.Licenses.IssueAsync(Order() with { LicenseId = "lic-1" });
        await _server.Licenses.RevokeAsync("lic-1");
        await _server.Licenses.RevokeAsync("lic-1");
        Assert.Equal(1, _server.Agent().RevocationsVersion);
    }

    [Fact]
    public async Task A_license_that_was_never_issued_cannot_be_revoked() =>
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Licenses.RevokeAsync("lic-9"));

    private LicenseOrder Order() => new("pos-001", "till", _server.Now + TimeSpan.FromDays(30));

    private async Task RefusedAsync(LicenseOrder order) =>
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Licenses.IssueAsync(order));

    private LicenseClaims Open(IssuedLicense issued, byte[] secret)
    {
        Assert.True(LicenseToken.TryParseShape(System.Text.Encoding.ASCII.GetBytes(issued.Token), out var shape));
        var key = new byte[32];
        SecretKeys.TokenContentKey(secret, shape.Kid, key);
        using var gcm = new System.Security.Cryptography.AesGcm(key, 16);
        var keyset = _server.App.Store.CurrentKeyset().Keyset;
        var outcome = LicenseOpening.Open(
            shape, gcm, kid => keyset.Find(kid, "license"), Es256.Verify, out var license);
        Assert.Equal(LicenseOutcome.Opened, outcome);
        return license!.Claims;
    }
}
