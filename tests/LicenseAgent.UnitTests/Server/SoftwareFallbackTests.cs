using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Agents;
using LicenseServer.Rules;
using LicenseServer.Storage;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>What the server lets an agent do whose TPM is lost, and how that ends.</summary>
public sealed class SoftwareFallbackTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    public static TheoryData<bool, int?, bool> Rules => new()
    {
        { false, null, false },
        { false, 0, false },
        { false, -1, false },
        { false, 1, true },
        { true, null, true },
        { true, -1, true },
    };

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.EnrolAsync(withFallback: true);
        await _agent.RotateAsync();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [MemberData(nameof(Rules))]
    public void Software_keys_count_by_policy_or_within_an_approval(bool automatic, int? approvedMs, bool allowed)
    {
        UtcTime now = new(1_000_000);
        UtcTime? until = approvedMs is { } ms ? new UtcTime(now.UnixMs + ms) : null;
        Assert.Equal(allowed, SoftwareRules.Refusal(new SoftwareFacts(automatic, until, now)) is null);
    }

    [Theory]
    [InlineData(5, 0, 7, 5, "P8")]
    [InlineData(5, 6, 7, 5, "B6 P8")]
    [InlineData(5, 0, 7, 3, "P8")]
    [InlineData(5, 0, 5, 0, "P6")]
    [InlineData(0, 0, 0, 0, "P1")]
    public void What_was_made_for_the_TPM_is_neither_sent_nor_given_up(
        long active, long pending, long highest, long current, string steps)
    {
        var decision = RotationRules.PrepareSoftware(
            new AgentVersions(active, pending, Math.Max(highest, pending), 0),
            new PrepareFacts(current, highest, false, true, false), _ => false);
        Assert.Equal(steps, string.Join(' ', decision.Steps.Select(step => $"{step.GetType().Name[0]}{step.Version}")));
        Assert.Equal(active, decision.After.Active);
    }

    [Fact]
    public void A_pending_version_that_was_made_for_the_software_key_is_sent_again()
    {
        var decision = RotationRules.PrepareSoftware(
            new AgentVersions(5, 6, 6, 0), new PrepareFacts(5, 6, false, true, false), version => version == 6);
        Assert.Equal((6, 0), (decision.Version, decision.Steps.Count));
    }

    [Fact]
    public async Task Without_approval_every_request_is_refused_and_the_first_is_audited()
    {
        _agent.InSoftware = true;
        Assert.Equal("DOWNGRADE_REFUSED", await _agent.RefusedAsync(_agent.CheckInRequest()));
        Assert.Equal("DOWNGRADE_REFUSED", await _agent.RefusedAsync(_agent.RotateRequest(RotationReasons.TpmLost)));
        Assert.Single(_server.AuditEvents(), "downgrade_refused");
        Assert.Equal("A", _server.States());
    }

    [Fact]
    public async Task Approved_it_rotates_in_software_and_the_version_before_gets_its_grace()
    {
        await LoseAsync();
        await _agent.RotateAsync();
        Assert.Equal("GA", _server.States());
        Assert.True(_server.Database.Read(s => SoftwareRows.IsSoftware(s, "pos-001", 2)));
        Assert.Contains("software_fallback_begun", _server.AuditEvents());
    }

    [Fact]
    public async Task By_policy_it_needs_no_operator()
    {
        await using var server = await ServerHarness.StartAsync(o => o with { SoftwareFallbackAutomatic = true });
        var agent = await server.EnrolAsync(withFallback: true);
        await agent.RotateAsync();
        agent.InSoftware = true;
        server.Clock.Now += TimeSpan.FromHours(24);
        await agent.RotateAsync();
        Assert.Equal("GA", server.States());
    }

    [Fact]
    public async Task By_policy_alone_a_TPM_heard_of_within_a_day_makes_it_a_second_machine()
    {
        await using var server = await ServerHarness.StartAsync(o => o with { SoftwareFallbackAutomatic = true });
        var agent = await server.EnrolAsync(withFallback: true);
        await agent.RotateAsync();
        agent.InSoftware = true;
        server.Clock.Now += TimeSpan.FromHours(23);
        Assert.Equal("CLONE_SUSPECT", await agent.RefusedAsync(agent.RotateRequest()));
        Assert.Equal("both_keys", server.Agent().CloneEvidence);
    }

    [Fact]
    public async Task An_approval_ends_by_itself()
    {
        await LoseAsync();
        _server.Clock.Now += TimeSpan.FromDays(3);
        Assert.Equal("DOWNGRADE_REFUSED", await _agent.RefusedAsync(_agent.CheckInRequest()));
    }

    [Fact]
    public async Task A_lost_version_of_the_TPM_is_never_wrapped_to_the_software_key()
    {
        await LoseAsync();
        _agent.Active = 0;
        _agent.Highest = 0;
        Assert.Equal(2, (await _agent.PrepareAsync(RotationReasons.Recovery)).SecretVersion);
    }

    [Fact]
    public async Task A_stored_outcome_of_the_TPM_is_not_given_to_the_software_key()
    {
        var request = _agent.RotateRequest();
        _agent.Stage(await _agent.SendAsync<RotateSecretAnswer>(request));
        await LoseAsync();
        var body = _agent.Sign(_agent.Again(request));
        Assert.Equal(400, (await _agent.PostAsync(AgentPaths.RotateSecret, body)).Status);
    }

    [Fact]
    public async Task A_pending_version_of_the_TPM_is_not_confirmed_by_the_software_key()
    {
        await _agent.PrepareAsync();
        await LoseAsync();
        Assert.Equal("VERSION_CONFLICT", await _agent.RefusedAsync(_agent.ConfirmRequest(2)));
    }

    [Fact]
    public async Task The_next_request_of_the_TPM_ends_the_software_version_and_restores_its_own()
    {
        await LoseAsync();
        await _agent.RotateAsync();
        await ReturnAsync();
        Assert.Equal("AI", _server.States());
        _agent.Active = 1;
        await _agent.RotateAsync();
        Assert.Equal("GIA", _server.States());
    }

    [Fact]
    public async Task After_it_the_software_key_is_spent_for_good()
    {
        await LoseAsync();
        await _agent.RotateAsync();
        var answer = await ReturnAsync();
        Assert.Equal("", answer.Fallback);
        var again = _agent.CheckInRequest() with { Fallback = Pair(_agent.Fallback!) };
        Assert.Equal("", (await _agent.SendAsync<CheckInAnswer>(again)).Fallback);
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.ApproveSoftwareAsync("pos-001", 3));
    }

    [Fact]
    public async Task Another_key_is_registered_by_the_TPM_alone()
    {
        await LoseAsync();
        using var next = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var old = Pair(_agent.Fallback!).Signing.Thumbprint().ToString();
        var request = _agent.CheckInRequest() with { Fallback = Pair(next) };
        Assert.Equal(old, (await _agent.SendAsync<CheckInAnswer>(request)).Fallback);
        _agent.InSoftware = false;
        request = _agent.CheckInRequest() with { Fallback = Pair(next) };
        Assert.Equal(
            Pair(next).Signing.Thumbprint().ToString(), (await _agent.SendAsync<CheckInAnswer>(request)).Fallback);
    }

    [Fact]
    public async Task One_approval_is_for_one_loss()
    {
        await _server.Agents.ApproveSoftwareAsync("pos-001", 3);
        await ReturnAsync();
        _agent.InSoftware = true;
        Assert.Equal("DOWNGRADE_REFUSED", await _agent.RefusedAsync(_agent.CheckInRequest()));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(31)]
    public async Task An_approval_is_for_1_to_30_days(int days) =>
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.ApproveSoftwareAsync("pos-001", days));

    [Fact]
    public async Task An_agent_without_software_keys_cannot_be_approved()
    {
        await _server.EnrolAsync("pos-002");
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.ApproveSoftwareAsync("pos-002", 3));
    }

    private static AgentKeyPair Pair(ECDsa key) => new(EcPublicJwk.From(key), TestAgent.DecryptionJwk);

    private async Task LoseAsync()
    {
        await _server.Agents.ApproveSoftwareAsync("pos-001", 3);
        _agent.InSoftware = true;
    }

    private async Task<CheckInAnswer> ReturnAsync()
    {
        _agent.InSoftware = false;
        return await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest());
    }
}
