using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Agents;
using LicenseServer.Keys;
using LicenseServer.Licenses;
using LicenseServer.Storage;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Keys;

/// <summary>Announce, wait for the fleet, sign, retire, drop; and the chain that agents follow.</summary>
public sealed class KeyRotationTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    private KeyDesk Keys => new(_server.App.Store, _server.Clock, "operator:test");

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.ActiveAsync();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task New_keys_are_announced_and_do_not_sign_yet()
    {
        string before = _server.App.Store.Keys.Response.Kid;
        KeyRotation first = await RotateAsync();
        Assert.Equal((3, 0), (first.Done.Count, first.Waiting.Count));
        Assert.Equal((2, 6), (Current.Version, Current.Keys.Count));
        Assert.Equal(before, _server.App.Store.Keys.Response.Kid);
        Assert.Equal(before, await SignerAsync());
    }

    [Fact]
    public async Task A_new_key_waits_until_every_agent_has_its_keyset()
    {
        await CheckInAsync(keyset: 1);
        await RotateAsync();
        KeyRotation second = await RotateAsync();
        Assert.Equal((0, 3), (second.Done.Count, second.Waiting.Count));
        Assert.Contains("0 of 1 agents have keyset 2", second.Waiting[0], StringComparison.Ordinal);
        await CheckInAsync(keyset: 2);
        Assert.Equal(3, Promoted(await RotateAsync()));
    }

    [Fact]
    public async Task An_agent_not_heard_of_for_a_month_is_not_waited_for()
    {
        await CheckInAsync(keyset: 1);
        await RotateAsync();
        _server.Clock.Now += TimeSpan.FromDays(31);
        Assert.Equal(3, Promoted(await RotateAsync()));
    }

    [Fact]
    public async Task The_new_response_key_signs_and_the_old_one_stays_for_ninety_days()
    {
        string old = _server.App.Store.Keys.Response.Kid;
        await PromoteAsync();
        string now = _server.App.Store.Keys.Response.Kid;
        Assert.NotEqual(old, now);
        Assert.Equal(now, await SignerAsync());
        _server.Clock.Now += TimeSpan.FromDays(89);
        await RotateAsync(KeyScopes.Keyset);
        Assert.NotNull(Current.Find(old, KeyScopes.Response));
        _server.Clock.Now += TimeSpan.FromDays(2);
        await RotateAsync(KeyScopes.Keyset);
        Assert.Null(Current.Find(old, KeyScopes.Response));
    }

    [Fact]
    public async Task A_license_key_stays_until_its_last_token_has_expired()
    {
        string old = _server.App.Store.Keys.License.Kid;
        await _server.Licenses.IssueAsync(
            new LicenseOrder("pos-001", "till", _server.Now + TimeSpan.FromDays(200)));
        await PromoteAsync();
        _server.Clock.Now += TimeSpan.FromDays(199);
        await RotateAsync(KeyScopes.Keyset);
        Assert.NotNull(Current.Find(old, KeyScopes.License));
        _server.Clock.Now += TimeSpan.FromDays(2);
        await RotateAsync(KeyScopes.Keyset);
        Assert.Null(Current.Find(old, KeyScopes.License));
    }

    [Fact]
    public async Task Every_link_is_signed_by_a_key_of_the_one_before_and_by_one_of_its_own()
    {
        var pin = new KeysetPin(1, _server.App.Store.CurrentKeyset().PayloadSha256);
        for (int i = 0; i < 6; i++)
        {
            _server.Clock.Now += TimeSpan.FromDays(100);
            await RotateAsync(force: true);
        }

        var chain = KeysetChain.Read((await KeysetsAsync(after: 0)).Body);
        Assert.Equal(Enumerable.Range(1, chain.Count).Select(v => (long)v), chain.Select(k => k.Keyset.Version));
        Assert.True(chain.Count >= 4);
        KeysetChain.VerifyFromPin(chain, pin, Es256.Verify);
        Assert.Equal(chain.Count - 2, KeysetChain.Read((await KeysetsAsync(after: 2)).Body).Count);
    }

    [Fact]
    public async Task The_private_half_of_a_retired_key_is_destroyed()
    {
        await PromoteAsync();
        Assert.Equal(3, KeyFile.Read(KeysPath).SigningKeys.Count);
    }

    [Fact]
    public async Task A_server_that_runs_takes_the_new_keys_over()
    {
        await using var operators = await LicenseServer.ServerStore.OpenAsync(
            _server.Options, _server.Clock, System.Security.Cryptography.RandomNumberGenerator.Fill);
        var desk = new KeyDesk(operators, _server.Clock, "operator:test");
        await desk.RotateAsync(KeyFile.Scopes, [], force: false);
        await desk.RotateAsync(KeyFile.Scopes, [], force: true);
        _server.App.RefreshKeys();
        Assert.Equal(operators.Keys.Response.Kid, await SignerAsync());
    }

    [Fact]
    public async Task A_rotation_cut_off_after_the_key_file_goes_on()
    {
        KeyFile file = KeyFile.Read(KeysPath);
        KeyFile.Write(
            KeysPath, file with { SigningKeys = [.. file.SigningKeys, KeyFile.NewKey(KeyScopes.Response)] });
        await _server.RestartAsync();
        await RotateAsync(KeyScopes.Response);
        Assert.Equal(4, Current.Keys.Count);

        // And between the key file and the table at the change of keys.
        file = KeyFile.Read(KeysPath);
        KeyFile.Write(KeysPath, file with
        {
            SigningKeys = [.. file.SigningKeys.Where(k => k.Scope != KeyScopes.Response), file.SigningKeys[^1]],
        });
        await _server.RestartAsync();
        await RotateAsync(KeyScopes.Keyset);
        var rows = _server.Database.Read(SigningKeyRows.All).Where(r => r.Scope == KeyScopes.Response).ToList();
        Assert.Single(rows, r => r is { SignsSince: not null, Retired: null });
        Assert.Single(rows, r => r.Retired is not null);
    }

    [Fact]
    public async Task A_pin_is_announced_before_the_certificate_changes()
    {
        string pin = "sha256:" + Convert.ToBase64String(new byte[32]);
        await Keys.RotateAsync([], [pin], force: false);
        Assert.Contains(pin, Current.Pins);
        await Assert.ThrowsAsync<OrderRefusedException>(() => Keys.RotateAsync([], ["sha256:no"], force: false));
    }

    [Fact]
    public async Task Each_step_is_audited()
    {
        await PromoteAsync();
        Assert.Equal(
            ["keyset_issued", "signing_key_changed", "signing_key_changed", "signing_key_changed", "keyset_issued"],
            _server.AuditEvents().Where(e => e.Contains("key", StringComparison.Ordinal)));
    }

    private string KeysPath => LicenseServer.ServerStore.KeysPath(_server.Options);

    private Keyset Current => _server.App.Store.CurrentKeyset().Keyset;

    private static int Promoted(KeyRotation rotation) =>
        rotation.Done.Count(line => line.Contains("signs from now on", StringComparison.Ordinal));

    private Task<KeyRotation> RotateAsync(string? scope = null, bool force = false) =>
        Keys.RotateAsync(scope is null ? KeyFile.Scopes : [scope], [], force);

    private async Task PromoteAsync()
    {
        await RotateAsync();
        await RotateAsync(force: true);
    }

    private async Task CheckInAsync(long keyset)
    {
        _server.Clock.Now += TimeSpan.FromSeconds(1);
        await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest() with { KeysetVersion = keyset });
    }

    /// <summary>The key that signs answers.</summary>
    private async Task<string> SignerAsync()
    {
        _server.Clock.Now += TimeSpan.FromSeconds(1);
        AgentReply reply = await _agent.PostAsync(AgentPaths.CheckIn, _agent.Sign(_agent.CheckInRequest()));
        return CompactJws.Parse(reply.Body, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes).Kid;
    }

    private Task<AgentReply> KeysetsAsync(long after) => _server.App.Api.HandleAsync(
        new AgentCall("GET", AgentPaths.Keyset, $"?after={after}", null, null, "127.0.0.1", default));
}
