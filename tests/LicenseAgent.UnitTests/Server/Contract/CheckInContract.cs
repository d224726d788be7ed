using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>What a check-in tells, and what it is told.</summary>
public abstract class CheckInContract : ServerContract
{
    private protected AgentDouble Agent { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Agent = await ActiveAsync(2);
    }

    [Fact]
    public async Task Rotate_now_holds_while_ACTIVE_is_not_above_it()
    {
        await Server.RotateNowAsync();
        Assert.Equal([new RotateNowDirective(2)], await DirectivesAsync());
        var pending = await Agent.PrepareAsync();
        Assert.Equal([new RotateNowDirective(2)], await DirectivesAsync());
        await Agent.ConfirmAsync(pending.SecretVersion);
        Assert.Empty(await DirectivesAsync());
    }

    [Fact]
    public async Task Invalidate_below_ends_every_lower_version_and_is_told()
    {
        var pending = await Agent.PrepareAsync();
        await Server.InvalidateBelowAsync(4);
        Assert.Equal("IIB", Server.States());
        Assert.Equal([new InvalidateBelowDirective(4)], await DirectivesAsync());
        Assert.Equal("VERSION_CONFLICT", await Agent.RefusedAsync(Agent.ConfirmRequest(pending.SecretVersion)));
    }

    [Fact]
    public async Task An_ACTIVE_that_was_invalidated_by_order_does_not_come_back_by_a_request_that_names_it()
    {
        await Server.InvalidateBelowAsync(3);
        Assert.Equal(3, (await Agent.PrepareAsync()).SecretVersion);
        Assert.Equal("IIP", Server.States());
    }

    [Fact]
    public async Task The_confirm_answer_names_the_lowest_version_that_lives()
    {
        await Server.InvalidateBelowAsync(3);
        var pending = await Agent.PrepareAsync();
        var answer = await Agent.ConfirmAsync(pending.SecretVersion);
        Assert.Equal(3, answer.MinValidVersion);
        Assert.Empty(answer.Previous);
    }

    [Fact]
    public async Task The_shown_head_is_witnessed()
    {
        var head = Digest32.Sha256([5]);
        var answer = await Agent.SendAsync<CheckInAnswer>(Shows(5, head));
        Assert.Equal(new Witness(5, head, Conflict: false), answer.Witness);
    }

    [Fact]
    public async Task The_same_head_again_and_a_higher_one_are_no_conflict()
    {
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        Assert.False(await ConflictsAsync(Shows(9, Head(9), new AuditPoint(5, Head(5)))));
    }

    [Fact]
    public async Task A_lower_number_is_a_conflict_which_is_audited_once()
    {
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        Assert.True(await ConflictsAsync(Shows(4, Head(4))));
        Assert.True(await ConflictsAsync(Shows(4, Head(4))));
        Assert.True(Server.AuditRegressed);
        Audited("audit_regressed", times: 1);
    }

    [Fact]
    public async Task Another_head_at_a_witnessed_number_is_a_conflict()
    {
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        Assert.True(await ConflictsAsync(Shows(5, Head(6))));
    }

    [Fact]
    public async Task A_rewritten_record_below_a_higher_head_is_a_conflict()
    {
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        Assert.True(await ConflictsAsync(Shows(9, Head(9), new AuditPoint(5, Head(7)))));
    }

    [Fact]
    public async Task An_overtaken_request_that_shows_less_is_no_conflict()
    {
        Agent.ClockOffset = TimeSpan.FromSeconds(-30);
        var overtaken = Shows(4, Head(4));
        Agent.ClockOffset = default;
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        Assert.False(await ConflictsAsync(overtaken));
        Assert.False(Server.AuditRegressed);
    }

    [Fact]
    public async Task The_head_of_a_rotation_is_judged_too()
    {
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        var rotate = Agent.RotateRequest() with { Audit = new AuditEvidence(3, Head(3), null) };
        await Agent.SendAsync<RotateSecretAnswer>(rotate);
        Assert.True(Server.AuditRegressed);
    }

    [Fact]
    public async Task Revocations_are_sent_until_the_agent_has_them()
    {
        Assert.Null((await Agent.SendAsync<CheckInAnswer>(Agent.CheckInRequest())).Revocations);
        await Server.RevokeAsync("lic-1");
        for (var i = 0; i < 2; i++)
        {
            var list = (await Agent.SendAsync<CheckInAnswer>(Agent.CheckInRequest())).Revocations;
            Assert.Equal(1, list!.Version);
            Assert.Equal(["lic-1"], list.LicenseIds);
        }

        var knows = Agent.CheckInRequest() with { RevocationsVersion = 1 };
        Assert.Null((await Agent.SendAsync<CheckInAnswer>(knows)).Revocations);
    }

    [Fact]
    public async Task After_a_restore_the_next_revocation_counts_from_what_the_agent_has()
    {
        var ahead = Agent.CheckInRequest() with { RevocationsVersion = 6 };
        Assert.Null((await Agent.SendAsync<CheckInAnswer>(ahead)).Revocations);
        await Server.RevokeAsync("lic-1");
        var next = Agent.CheckInRequest() with { RevocationsVersion = 6 };
        Assert.Equal(7, (await Agent.SendAsync<CheckInAnswer>(next)).Revocations!.Version);
    }

    private static Digest32 Head(byte of) => Digest32.Sha256([of]);

    private CheckInRequest Shows(long seq, Digest32 head, AuditPoint? witnessed = null) =>
        Agent.CheckInRequest() with { Audit = new AuditEvidence(seq, head, witnessed) };

    private async Task<bool> ConflictsAsync(CheckInRequest request) =>
        (await Agent.SendAsync<CheckInAnswer>(request)).Witness.Conflict;

    private protected async Task<IReadOnlyList<Directive>> DirectivesAsync() =>
        (await Agent.SendAsync<CheckInAnswer>(Agent.CheckInRequest())).Directives;
}
