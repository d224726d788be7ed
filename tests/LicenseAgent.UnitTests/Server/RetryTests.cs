using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>Every answer lost in turn: the retry gets the same outcome, and nothing happens twice.</summary>
public sealed class RetryTests : IAsyncLifetime
{
    private ServerHarness _server = null!;

    public async ValueTask InitializeAsync() => _server = await ServerHarness.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_lost_enrolment_answer_is_repeated()
    {
        var agent = new TestAgent(_server, "pos-001");
        var request = agent.EnrollRequest(await _server.Agents.AddAsync("pos-001"));
        var lost = await agent.SendAsync<EnrollAnswer>(request);
        _server.Clock.Now += TimeSpan.FromHours(23);
        var answer = await agent.SendAsync<EnrollAnswer>((EnrollRequest)agent.Again(request));
        Assert.Equal(lost.CertificateChain, answer.CertificateChain);
        Assert.Single(_server.AuditEvents(), name => name == "agent_enrolled");
    }

    [Fact]
    public async Task A_lost_prepare_answer_is_repeated_with_the_same_secret_wrapped_anew()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.RotateRequest();
        var lost = await agent.SendAsync<RotateSecretAnswer>(request);
        _server.Clock.Now += TimeSpan.FromMinutes(7);
        var answer = await agent.SendAsync<RotateSecretAnswer>(agent.Again(request));
        Assert.Equal(lost with { Nonce = answer.Nonce, ServerTime = answer.ServerTime, NewSecretEncrypted = "" },
            answer with { NewSecretEncrypted = "" });
        Assert.Equal(TestAgent.Open(lost), TestAgent.Open(answer));
        Assert.NotEqual(lost.NewSecretEncrypted, answer.NewSecretEncrypted);
        Assert.Equal("AP", _server.States());
    }

    [Fact]
    public async Task A_retry_of_prepare_may_know_more_and_say_other_clocks()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.RotateRequest();
        var lost = await agent.SendAsync<RotateSecretAnswer>(request);
        var retry = (RotateSecretRequest)agent.Again(request) with
        {
            HighestVersionSeen = 2,
            Clock = agent.Clock with { BoottimeMs = 9000 },
            Audit = new AuditEvidence(3, default, null),
        };
        Assert.Equal(lost.SecretVersion, (await agent.SendAsync<RotateSecretAnswer>(retry)).SecretVersion);
    }

    [Fact]
    public async Task A_lost_confirm_answer_is_repeated_with_the_same_times()
    {
        var agent = await _server.ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        var request = agent.ConfirmRequest(pending.SecretVersion);
        var lost = await agent.SendAsync<ConfirmRotationAnswer>(request);
        _server.Clock.Now += TimeSpan.FromDays(6);
        var answer = await agent.SendAsync<ConfirmRotationAnswer>(agent.Again(request));
        Assert.Equal(lost.Previous, answer.Previous);
        Assert.Equal(
            lost with { Nonce = answer.Nonce, ServerTime = answer.ServerTime, Previous = answer.Previous }, answer);
        Assert.Equal("GA", _server.States());
    }

    [Fact]
    public async Task A_lost_reject_answer_is_repeated_and_burns_one_number()
    {
        var agent = await _server.ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        var request = agent.RejectRequest(pending.SecretVersion);
        await agent.SendAsync<RejectRotationAnswer>(request);
        await agent.PrepareAsync();
        await agent.SendAsync<RejectRotationAnswer>(agent.Again(request));
        Assert.Equal("ABP", _server.States());
    }

    [Fact]
    public async Task A_lost_check_in_answer_is_answered_with_the_levels_of_now()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.CheckInRequest();
        Assert.Empty((await agent.SendAsync<CheckInAnswer>(request)).Directives);
        await _server.Agents.SuspendAsync("pos-001", suspended: true);
        var answer = await agent.SendAsync<CheckInAnswer>(agent.Again(request));
        Assert.Equal([new SuspendDirective()], answer.Directives);
    }

    [Fact]
    public async Task Outcomes_survive_a_restart_of_the_server()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.RotateRequest();
        var lost = await agent.SendAsync<RotateSecretAnswer>(request);
        await _server.RestartAsync();
        var answer = await agent.SendAsync<RotateSecretAnswer>(agent.Again(request));
        Assert.Equal(TestAgent.Open(lost), TestAgent.Open(answer));
    }

    [Fact]
    public async Task A_byte_identical_copy_is_a_replay_and_changes_nothing()
    {
        var agent = await _server.ActiveAsync(1);
        var body = agent.Sign(agent.RotateRequest());
        Assert.Equal(200, (await agent.PostAsync(AgentPaths.RotateSecret, body)).Status);
        var copy = await agent.PostAsync(AgentPaths.RotateSecret, body);
        Assert.Equal("REPLAY", ((RefusalAnswer)agent.ReadAs(copy, AgentActions.RotateSecret)).Error);
        Assert.Equal("AP", _server.States());
    }

    [Fact]
    public async Task A_copy_is_a_replay_after_a_restart_too()
    {
        var agent = await _server.ActiveAsync(1);
        var body = agent.Sign(agent.CheckInRequest());
        await agent.PostAsync(AgentPaths.CheckIn, body);
        await _server.RestartAsync();
        var copy = await agent.PostAsync(AgentPaths.CheckIn, body);
        Assert.Equal("REPLAY", ((RefusalAnswer)agent.ReadAs(copy, AgentActions.CheckIn)).Error);
    }

    [Fact]
    public async Task A_nonce_is_refused_for_660_seconds_and_no_longer()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.CheckInRequest();
        await agent.SendAsync<CheckInAnswer>(request);
        _server.Clock.Now += TimeSpan.FromMilliseconds(659_999);
        Assert.Equal("REPLAY", await agent.RefusedAsync(request with { Timestamp = agent.Now }));
        _server.Clock.Now += TimeSpan.FromMilliseconds(1);
        await agent.SendAsync<CheckInAnswer>(request with { Timestamp = agent.Now });
    }

    [Fact]
    public async Task Two_agents_may_use_one_nonce()
    {
        var one = await _server.ActiveAsync(1, "pos-001");
        var two = await _server.ActiveAsync(1, "pos-002");
        var request = one.CheckInRequest();
        await one.SendAsync<CheckInAnswer>(request);
        await two.SendAsync<CheckInAnswer>(two.CheckInRequest() with { Nonce = request.Nonce });
    }

    [Fact]
    public async Task One_request_id_for_another_operation_is_a_mismatch()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.RotateRequest();
        await agent.SendAsync<RotateSecretAnswer>(request);
        var other = (RotateSecretRequest)agent.Again(request) with { Reason = RotationReasons.Forced };
        Assert.Equal("REQUEST_MISMATCH", await agent.RefusedAsync(other));
    }

    [Fact]
    public async Task One_request_id_for_another_action_is_a_mismatch()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.RotateRequest();
        var pending = await agent.SendAsync<RotateSecretAnswer>(request);
        var reject = agent.RejectRequest(pending.SecretVersion) with { RequestId = request.RequestId };
        Assert.Equal("REQUEST_MISMATCH", await agent.RefusedAsync(reject));
        Assert.Equal("AP", _server.States());
    }

    [Fact]
    public async Task Two_agents_may_use_one_request_id()
    {
        var one = await _server.ActiveAsync(1, "pos-001");
        var two = await _server.ActiveAsync(1, "pos-002");
        var request = one.RotateRequest();
        await one.SendAsync<RotateSecretAnswer>(request);
        var other = two.RotateRequest() with { RequestId = request.RequestId };
        Assert.Equal(2, (await two.SendAsync<RotateSecretAnswer>(other)).SecretVersion);
    }

    [Fact]
    public async Task A_refused_operation_is_judged_again_when_it_is_retried()
    {
        var agent = await _server.ActiveAsync(1);
        var request = agent.RotateRequest() with { CurrentSecretVersion = 2, KcvCurrent = "0011223344556677" };
        Assert.Equal("VERSION_CONFLICT", await agent.RefusedAsync(request));
        Assert.Equal("VERSION_CONFLICT", await agent.RefusedAsync(agent.Again(request)));
        Assert.Equal(2, _server.AuditEvents().Count(name => name == "version_conflict"));
    }

    [Fact]
    public async Task Stored_outcomes_end_after_seven_days()
    {
        var agent = await _server.ActiveAsync(1);
        var reject = agent.RejectRequest((await agent.PrepareAsync()).SecretVersion);
        await agent.SendAsync<RejectRotationAnswer>(reject);
        _server.Clock.Now += TimeSpan.FromDays(7);
        var other = (RejectRotationRequest)agent.Again(reject) with { SecretVersion = 9 };
        Assert.Equal(9, (await agent.SendAsync<RejectRotationAnswer>(other)).SecretVersion);
    }

    [Fact]
    public async Task What_is_older_than_its_time_is_swept_away()
    {
        var agent = await _server.ActiveAsync(2);
        _server.Clock.Now += TimeSpan.FromDays(8);
        await agent.SendAsync<CheckInAnswer>(agent.CheckInRequest());
        var now = _server.Now;
        Assert.False(await _server.Database.WriteAsync(
            session => LicenseServer.Storage.RequestRows.Sweep(session, now)));
        var left = _server.Database.Read(session => (
            session.Number("SELECT count(*) FROM requests"), session.Number("SELECT count(*) FROM nonces")));
        Assert.Equal((0, 1), left);
    }
}
