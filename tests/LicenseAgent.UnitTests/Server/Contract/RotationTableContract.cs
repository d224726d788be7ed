using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>The rotation table of protocol.md §2, one test a row.</summary>
public abstract class RotationTableContract : ServerContract
{
    [Fact]
    public async Task The_first_prepare_of_an_agent_gives_version_1()
    {
        var agent = await EnrolAsync();
        Assert.Equal(1, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("P", Server.States());
    }

    [Fact]
    public async Task Prepare_at_ACTIVE_makes_the_next_number_PENDING()
    {
        var agent = await ActiveAsync(2);
        Assert.Equal(3, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("GAP", Server.States());
    }

    [Fact]
    public async Task Prepare_at_ACTIVE_answers_the_PENDING_there_is_with_the_same_secret()
    {
        var agent = await ActiveAsync(2);
        var first = await agent.PrepareAsync();
        var second = await agent.PrepareAsync();
        Assert.Equal(first.SecretVersion, second.SecretVersion);
        Assert.Equal(agent.Unwrap(first), agent.Unwrap(second));
        Assert.NotEqual(first.NewSecretEncrypted, second.NewSecretEncrypted);
    }

    [Fact]
    public async Task Prepare_with_a_highest_above_the_servers_skips_to_the_number_after_it()
    {
        var agent = await ActiveAsync(2);
        agent.Highest = 7;
        Assert.Equal(8, (await agent.PrepareAsync()).SecretVersion);
    }

    [Fact]
    public async Task A_PENDING_below_the_agents_highest_is_burned_because_the_agent_would_refuse_it()
    {
        var agent = await ActiveAsync(2);
        await agent.PrepareAsync();
        agent.Highest = 5;
        Assert.Equal(6, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("GAB--P", Server.States());
    }

    [Fact]
    public async Task An_agent_that_lost_a_confirmed_version_gets_it_again()
    {
        var agent = await ActiveAsync(2);
        var secret = agent.Secrets[2];
        (agent.Active, agent.Highest) = (1, 1);
        var answer = await agent.PrepareAsync();
        Assert.Equal(2, answer.SecretVersion);
        Assert.Equal(secret, agent.Unwrap(answer));
        Assert.Equal("GA", Server.States());
        Audited("version_resent");
    }

    [Fact]
    public async Task A_recovering_agent_gets_ACTIVE_again_although_it_knows_its_number()
    {
        var agent = await ActiveAsync(3);
        agent.Active = 0;
        Assert.Equal(3, (await agent.PrepareAsync(RotationReasons.Recovery)).SecretVersion);
        await agent.ConfirmAsync(3);
        Assert.Equal("GGA", Server.States());
    }

    [Fact]
    public async Task A_recovering_agent_that_knows_a_higher_PENDING_gets_that_and_ACTIVE_stays()
    {
        var agent = await ActiveAsync(2);
        await agent.PrepareAsync();
        agent.Active = 0;
        Assert.Equal(3, (await agent.PrepareAsync(RotationReasons.Recovery)).SecretVersion);
        Assert.Equal("GAP", Server.States());
        var confirmed = await agent.ConfirmAsync(3);
        Assert.Equal([1, 2], confirmed.Previous.Select(previous => previous.Version));
    }

    [Fact]
    public async Task The_fourth_recovery_in_24_hours_is_refused()
    {
        var agent = await ActiveAsync(1);
        agent.Active = 0;
        for (var i = 0; i < 3; i++) await agent.PrepareAsync(RotationReasons.Recovery);
        Assert.Equal("DOWNGRADE_REFUSED", await agent.RefusedAsync(agent.RotateRequest(RotationReasons.Recovery)));
        Server.Pass(TimeSpan.FromHours(24));
        await agent.PrepareAsync(RotationReasons.Recovery);
    }

    [Fact]
    public async Task An_agent_that_gave_ACTIVE_up_gets_a_new_number_and_ACTIVE_is_INVALIDATED()
    {
        var agent = await ActiveAsync(2);
        agent.Active = 0;
        Assert.Equal(3, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("GIP", Server.States());
    }

    [Fact]
    public async Task A_PENDING_that_was_given_up_together_with_ACTIVE_is_burned()
    {
        var agent = await ActiveAsync(2);
        await agent.PrepareAsync();
        agent.Active = 0;
        Assert.Equal(4, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("GIBP", Server.States());
    }

    [Fact]
    public async Task A_restored_server_adopts_the_agents_ACTIVE()
    {
        var agent = await ActiveAsync(2);
        var restore = await Server.BackupAsync();
        await agent.RotateAsync();
        await agent.RotateAsync();
        await restore();
        Assert.Equal(5, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("GG-AP", Server.States());
        Audited("server_behind");
    }

    [Fact]
    public async Task A_restored_server_drops_its_PENDING_at_or_below_the_agents_ACTIVE()
    {
        var agent = await ActiveAsync(2);
        var pending = await agent.PrepareAsync();
        var restore = await Server.BackupAsync();
        await agent.ConfirmAsync(pending.SecretVersion);
        await restore();
        Assert.Equal("GAP", Server.States());
        Assert.Equal(4, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("GGAP", Server.States());
    }

    [Fact]
    public async Task A_restored_server_drops_a_lower_PENDING_even_if_the_agent_says_it_saw_nothing()
    {
        var agent = await ActiveAsync(2);
        var pending = await agent.PrepareAsync();
        var restore = await Server.BackupAsync();
        await agent.ConfirmAsync(pending.SecretVersion);
        await agent.RotateAsync();
        await restore();
        agent.Highest = 0;
        Assert.Equal(5, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("GGBAP", Server.States());
    }

    [Fact]
    public async Task A_restored_server_commits_the_confirm_of_a_number_above_its_highest()
    {
        var agent = await ActiveAsync(1);
        var restore = await Server.BackupAsync();
        await agent.RotateAsync();
        var pending = await agent.PrepareAsync();
        await restore();
        var answer = await agent.ConfirmAsync(pending.SecretVersion);
        Assert.Equal(3, answer.SecretVersion);
        Assert.Equal("G-A", Server.States());
        Assert.Equal(3, Server.Highest);
    }

    [Fact]
    public async Task Prepare_at_ACTIVE_with_a_wrong_check_value_is_a_conflict()
    {
        var agent = await ActiveAsync(2);
        agent.Secrets[2] = new byte[32];
        var refusal = await agent.SendAsync<RefusalAnswer>(agent.RotateRequest());
        Assert.Equal(("VERSION_CONFLICT", 2L, 2L), (refusal.Error, refusal.ActiveVersion, refusal.HighestVersion));
        Assert.Equal("GA", Server.States());
        Audited("version_conflict");
    }

    [Fact]
    public async Task Prepare_above_ACTIVE_with_a_wrong_check_value_is_a_conflict()
    {
        var agent = await ActiveAsync(2);
        (agent.Active, agent.Highest) = (9, 9);
        agent.Secrets[9] = new byte[32];
        Assert.Equal("VERSION_CONFLICT", await agent.RefusedAsync(agent.RotateRequest()));
        Assert.Equal(2, Server.Highest);
    }

    [Fact]
    public async Task A_version_that_was_given_up_does_not_become_ACTIVE_again_by_an_overtaken_request()
    {
        var agent = await ActiveAsync(2);
        var overtaken = agent.RotateRequest();
        agent.Active = 0;
        await agent.PrepareAsync();
        await agent.SendAsync<RotateSecretAnswer>(overtaken);
        Assert.Equal("GIP", Server.States());
    }

    [Fact]
    public async Task Confirm_of_PENDING_makes_it_ACTIVE_and_the_one_before_GRACE()
    {
        var agent = await EnrolAsync();
        var before = await agent.ConfirmAsync((await agent.PrepareAsync()).SecretVersion);
        var pending = await agent.PrepareAsync();
        Server.Pass(TimeSpan.FromMinutes(10));
        var answer = await agent.ConfirmAsync(pending.SecretVersion);
        var now = Server.Now;
        Assert.Equal("GA", Server.States());
        Assert.Equal(now, answer.ValidFrom);
        Assert.Equal(now + TimeSpan.FromDays(2), answer.ValidUntil);
        Assert.Equal(now + TimeSpan.FromDays(9), answer.GraceUntil);
        Assert.Equal([new PreviousVersion(1, before.GraceUntil)], answer.Previous);
    }

    [Fact]
    public async Task GRACE_lasts_at_least_the_grace_period_after_the_confirm()
    {
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        Server.Pass(TimeSpan.FromDays(5));
        var answer = await agent.ConfirmAsync(pending.SecretVersion);
        Assert.Equal([new PreviousVersion(1, Server.Now + TimeSpan.FromDays(7))], answer.Previous);
    }

    [Fact]
    public async Task Confirm_of_ACTIVE_gives_the_same_answer_again()
    {
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        var first = await agent.ConfirmAsync(pending.SecretVersion);
        Server.Pass(TimeSpan.FromHours(1));
        var second = await agent.ConfirmAsync(pending.SecretVersion);
        Assert.Equal(
            (first.ValidFrom, first.ValidUntil, first.GraceUntil),
            (second.ValidFrom, second.ValidUntil, second.GraceUntil));
        Assert.Equal(first.Previous, second.Previous);
        Audited("version_confirmed", times: 2);
    }

    [Fact]
    public async Task Confirm_with_a_proof_of_another_secret_is_rejected_and_PENDING_stays()
    {
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        var request = agent.ConfirmRequest(pending.SecretVersion, new byte[32]);
        Assert.Equal("REJECTED_PROOF", await agent.RefusedAsync(request));
        Assert.Equal("AP", Server.States());
    }

    [Fact]
    public async Task Confirm_with_the_proof_of_another_nonce_is_rejected()
    {
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        var request = agent.ConfirmRequest(pending.SecretVersion) with { Nonce = AgentDouble.Fresh().Nonce };
        Assert.Equal("REJECTED_PROOF", await agent.RefusedAsync(request));
    }

    [Fact]
    public async Task Confirm_of_a_number_above_the_highest_without_a_right_proof_is_a_conflict()
    {
        var agent = await ActiveAsync(1);
        Assert.Equal("VERSION_CONFLICT", await agent.RefusedAsync(agent.ConfirmRequest(9, new byte[32])));
    }

    [Fact]
    public async Task Confirm_of_a_version_that_is_neither_PENDING_nor_ACTIVE_is_a_conflict()
    {
        var agent = await ActiveAsync(3);
        Assert.Equal("VERSION_CONFLICT", await agent.RefusedAsync(agent.ConfirmRequest(2)));
        Assert.Equal("GGA", Server.States());
    }

    [Fact]
    public async Task Reject_of_PENDING_burns_its_number()
    {
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        await agent.SendAsync<RejectRotationAnswer>(agent.RejectRequest(pending.SecretVersion));
        Assert.Equal("AB", Server.States());
        Assert.Equal(3, (await agent.PrepareAsync()).SecretVersion);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(9)]
    public async Task Reject_of_anything_else_is_answered_and_changes_nothing(long version)
    {
        var agent = await ActiveAsync(2);
        var answer = await agent.SendAsync<RejectRotationAnswer>(agent.RejectRequest(version));
        Assert.Equal(version, answer.SecretVersion);
        Assert.Equal("GA", Server.States());
    }

    [Fact]
    public async Task PENDING_is_never_dropped_by_time()
    {
        var agent = await ActiveAsync(1);
        var pending = await agent.PrepareAsync();
        Server.Pass(TimeSpan.FromDays(300));
        Assert.Equal(pending.SecretVersion, (await agent.PrepareAsync()).SecretVersion);
        Assert.Equal("AP", Server.States());
    }
}
