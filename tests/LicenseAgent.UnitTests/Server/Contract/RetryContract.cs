using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>Every answer lost in turn: the retry gets the same outcome, and nothing happens twice.</summary>
public abstract class RetryContract : ServerContract
{
    [Fact]
    public async Task A_lost_enrolment_answer_is_repeated()
    {
        var agent = Server.NewAgent("pos-001");
        var request = agent.EnrollRequest(await Server.AddAsync("pos-001"));
        var lost = await agent.SendAsync<EnrollAnswer>(request);
        Server.Pass(TimeSpan.FromHours(23));
        var answer = await agent.SendAsync<EnrollAnswer>((EnrollRequest)agent.Again(request));
        Assert.Equal(lost.CertificateChain, answer.CertificateChain);
        Audited("agent_enrolled", times: 1);
    }

    [Fact]
    public async Task A_lost_prepare_answer_is_repeated_with_the_same_secret_wrapped_anew()
    {
        var agent = await ActiveAsync(1);
        var request = agent.RotateRequest();
        var lost = await agent.SendAsync<RotateSecretAnswer>(request);
        Server.Pass(TimeSpan.FromMinutes(7));
        var answer = await agent.SendAsync<RotateSecretAnswer>(agent.Again(request));
        Assert.Equal(lost with { Nonce = answer.Nonce, ServerTime = answer.ServerTime, NewSecretEncrypted = "" },
            answer with { NewSecretEncrypted = "" });
        Assert.Equal(agent.Unwrap(lost), agent.Unwrap(answer));
        Assert.NotEqual(lost.NewSecretEncrypted, answer.NewSecretEncrypted);
        Assert.Equal("AP", Server.States());
    }

    [Fact]
    public async Task A_retry_of_prepare_may_know_more_and_say_other_clocks()
    {
        var agent = await ActiveAsync(1);
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
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        var request = agent.ConfirmRequest(pending.SecretVersion);
        var lost = await agent.SendAsync<ConfirmRotationAnswer>(request);
        Server.Pass(TimeSpan.FromDays(6));
        var answer = await agent.SendAsync<ConfirmRotationAnswer>(agent.Again(request));
        Assert.Equal(lost.Previous, answer.Previous);
        Assert.Equal(
            lost with { Nonce = answer.Nonce, ServerTime = answer.ServerTime, Previous = answer.Previous }, answer);
        Assert.Equal("GA", Server.States());
    }

    [Fact]
    public async Task A_lost_reject_answer_is_repeated_and_burns_one_number()
    {
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        var request = agent.RejectRequest(pending.SecretVersion);
        await agent.SendAsync<RejectRotationAnswer>(request);
        await agent.PrepareAsync();
        await agent.SendAsync<RejectRotationAnswer>(agent.Again(request));
        Assert.Equal("ABP", Server.States());
    }

    [Fact]
    public async Task A_lost_check_in_answer_is_answered_with_the_levels_of_now()
    {
        var agent = await ActiveAsync(1);
        var request = agent.CheckInRequest();
        Assert.Empty((await agent.SendAsync<CheckInAnswer>(request)).Directives);
        await Server.SuspendAsync(suspended: true);
        var answer = await agent.SendAsync<CheckInAnswer>(agent.Again(request));
        Assert.Equal([new SuspendDirective()], answer.Directives);
    }

    [Fact]
    public async Task A_byte_identical_copy_is_a_replay_and_changes_nothing()
    {
        var agent = await ActiveAsync(1);
        var body = agent.Sign(agent.RotateRequest());
        Assert.IsType<RotateSecretAnswer>(await agent.AskAsync(AgentActions.RotateSecret, body));
        var copy = await agent.AskAsync(AgentActions.RotateSecret, body);
        Assert.Equal("REPLAY", Assert.IsType<RefusalAnswer>(copy).Error);
        Assert.Equal("AP", Server.States());
    }

    [Fact]
    public async Task A_nonce_is_refused_for_660_seconds_and_no_longer()
    {
        var agent = await ActiveAsync(1);
        var request = agent.CheckInRequest();
        await agent.SendAsync<CheckInAnswer>(request);
        Server.Pass(TimeSpan.FromMilliseconds(659_999));
        Assert.Equal("REPLAY", await agent.RefusedAsync(request with { Timestamp = agent.Now }));
        Server.Pass(TimeSpan.FromMilliseconds(1));
        await agent.SendAsync<CheckInAnswer>(request with { Timestamp = agent.Now });
    }

    [Fact]
    public async Task Two_agents_may_use_one_nonce()
    {
        var one = await ActiveAsync(1, "pos-001");
        var two = await ActiveAsync(1, "pos-002");
        var request = one.CheckInRequest();
        await one.SendAsync<CheckInAnswer>(request);
        await two.SendAsync<CheckInAnswer>(two.CheckInRequest() with { Nonce = request.Nonce });
    }

    [Fact]
    public async Task One_request_id_for_another_operation_is_a_mismatch()
    {
        var agent = await ActiveAsync(1);
        var request = agent.RotateRequest();
        await agent.SendAsync<RotateSecretAnswer>(request);
        var other = (RotateSecretRequest)agent.Again(request) with { Reason = RotationReasons.Forced };
        Assert.Equal("REQUEST_MISMATCH", await agent.RefusedAsync(other));
    }

    [Fact]
    public async Task One_request_id_for_another_action_is_a_mismatch()
    {
        var agent = await ActiveAsync(1);
        var request = agent.RotateRequest();
        var pending = await agent.SendAsync<RotateSecretAnswer>(request);
        var reject = agent.RejectRequest(pending.SecretVersion) with { RequestId = request.RequestId };
        Assert.Equal("REQUEST_MISMATCH", await agent.RefusedAsync(reject));
        Assert.Equal("AP", Server.States());
    }

    [Fact]
    public async Task Two_agents_may_use_one_request_id()
    {
        var one = await ActiveAsync(1, "pos-001");
        var two = await ActiveAsync(1, "pos-002");
        var request = one.RotateRequest();
        await one.SendAsync<RotateSecretAnswer>(request);
        var other = two.RotateRequest() with { RequestId = request.RequestId };
        Assert.Equal(2, (await two.SendAsync<RotateSecretAnswer>(other)).SecretVersion);
    }

    [Fact]
    public async Task A_refused_operation_is_judged_again_when_it_is_retried()
    {
        var agent = await ActiveAsync(1);
        var request = agent.RotateRequest() with { CurrentSecretVersion = 2, KcvCurrent = "0011223344556677" };
        Assert.Equal("VERSION_CONFLICT", await agent.RefusedAsync(request));
        Assert.Equal("VERSION_CONFLICT", await agent.RefusedAsync(agent.Again(request)));
        Audited("version_conflict", times: 2);
    }

    [Fact]
    public async Task Stored_outcomes_end_after_seven_days()
    {
        var agent = await ActiveAsync(1);
        var reject = agent.RejectRequest((await agent.PrepareAsync()).SecretVersion);
        await agent.SendAsync<RejectRotationAnswer>(reject);
        Server.Pass(TimeSpan.FromDays(7));
        var other = (RejectRotationRequest)agent.Again(reject) with { SecretVersion = 9 };
        Assert.Equal(9, (await agent.SendAsync<RejectRotationAnswer>(other)).SecretVersion);
    }
}
