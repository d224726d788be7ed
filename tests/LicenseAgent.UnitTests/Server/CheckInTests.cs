using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Agents;
using LicenseServer.Licenses;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class CheckInTests : IAsyncLifetime
{
    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.ActiveAsync(2);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task The_report_is_kept_and_the_next_check_in_is_told()
    {
        var report = _agent.CheckInRequest() with { Mode = "LOCKED", LockReason = "state_rollback", Tpm = "lockout" };
        var answer = await _agent.SendAsync<CheckInAnswer>(report);
        var kept = _server.Agent();
        Assert.Equal((900, 1L), (answer.NextCheckInS, answer.KeysetVersion));
        Assert.Equal(("LOCKED", "state_rollback", "lockout"), (kept.Mode, kept.LockReason, kept.Tpm));
        Assert.Equal(_server.Now, kept.LastSeen);
    }

    [Fact]
    public async Task Directives_are_levels_that_hold_until_they_are_lifted()
    {
        var until = _server.Now + TimeSpan.FromDays(1);
        await _server.Agents.LimitGraceAsync("pos-001", until);
        await _server.Agents.ReEnrollAsync("pos-001");
        await _server.Agents.SuspendAsync("pos-001", suspended: true);
        Directive[] all = [new SuspendDirective(), new LimitGraceDirective(until), new ReEnrollDirective()];
        Assert.Equal(all, await DirectivesAsync());
        Assert.Equal(all, await DirectivesAsync());
        await _server.Agents.SuspendAsync("pos-001", suspended: false);
        await _server.Agents.LimitGraceAsync("pos-001", until: null);
        Assert.Equal([new ReEnrollDirective()], await DirectivesAsync());
    }

    [Fact]
    public async Task Rotate_now_holds_while_ACTIVE_is_not_above_it()
    {
        await _server.Agents.RotateNowAsync("pos-001");
        Assert.Equal([new RotateNowDirective(2)], await DirectivesAsync());
        var pending = await _agent.PrepareAsync();
        Assert.Equal([new RotateNowDirective(2)], await DirectivesAsync());
        await _agent.ConfirmAsync(pending.SecretVersion);
        Assert.Empty(await DirectivesAsync());
    }

    [Fact]
    public async Task Invalidate_below_ends_every_lower_version_and_is_told()
    {
        var pending = await _agent.PrepareAsync();
        await _server.Agents.InvalidateBelowAsync("pos-001", 4);
        Assert.Equal("IIB", _server.States());
        Assert.Equal([new InvalidateBelowDirective(4)], await DirectivesAsync());
        Assert.Equal("VERSION_CONFLICT", await _agent.RefusedAsync(_agent.ConfirmRequest(pending.SecretVersion)));
    }

    [Fact]
    public async Task An_ACTIVE_that_was_invalidated_by_order_does_not_come_back_by_a_request_that_names_it()
    {
        await _server.Agents.InvalidateBelowAsync("pos-001", 3);
        Assert.Equal(3, (await _agent.PrepareAsync()).SecretVersion);
        Assert.Equal("IIP", _server.States());
    }

    [Fact]
    public async Task The_confirm_answer_names_the_lowest_version_that_lives()
    {
        await _server.Agents.InvalidateBelowAsync("pos-001", 3);
        var pending = await _agent.PrepareAsync();
        var answer = await _agent.ConfirmAsync(pending.SecretVersion);
        Assert.Equal(3, answer.MinValidVersion);
        Assert.Empty(answer.Previous);
    }

    [Fact]
    public async Task Versions_far_above_the_highest_cannot_be_invalidated() =>
        await Assert.ThrowsAsync<OrderRefusedException>(() => _server.Agents.InvalidateBelowAsync("pos-001", 4));

    [Fact]
    public async Task The_shown_head_is_witnessed()
    {
        var head = Digest32.Sha256([5]);
        var answer = await _agent.SendAsync<CheckInAnswer>(Shows(5, head));
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
        Assert.True(_server.Agent().AuditRegressed);
        Assert.Single(_server.AuditEvents(), name => name == "audit_regressed");
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
        _agent.ClockOffset = TimeSpan.FromSeconds(-30);
        var overtaken = Shows(4, Head(4));
        _agent.ClockOffset = default;
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        Assert.False(await ConflictsAsync(overtaken));
        Assert.False(_server.Agent().AuditRegressed);
    }

    [Fact]
    public async Task The_head_of_a_rotation_is_judged_too()
    {
        Assert.False(await ConflictsAsync(Shows(5, Head(5))));
        var rotate = _agent.RotateRequest() with { Audit = new AuditEvidence(3, Head(3), null) };
        await _agent.SendAsync<RotateSecretAnswer>(rotate);
        Assert.True(_server.Agent().AuditRegressed);
    }

    [Fact]
    public async Task Revocations_are_sent_until_the_agent_has_them()
    {
        var order = new LicenseOrder("pos-001", "till", _server.Now + TimeSpan.FromDays(1)) { LicenseId = "lic-1" };
        await _server.Licenses.IssueAsync(order);
        Assert.Null((await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest())).Revocations);
        Assert.Equal(["pos-001"], await _server.Licenses.RevokeAsync("lic-1"));
        for (var i = 0; i < 2; i++)
        {
            var list = (await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest())).Revocations;
            Assert.Equal(1, list!.Version);
            Assert.Equal(["lic-1"], list.LicenseIds);
        }

        var knows = _agent.CheckInRequest() with { RevocationsVersion = 1 };
        Assert.Null((await _agent.SendAsync<CheckInAnswer>(knows)).Revocations);
    }

    [Fact]
    public async Task After_a_restore_the_next_revocation_counts_from_what_the_agent_has()
    {
        var order = new LicenseOrder("pos-001", "till", _server.Now + TimeSpan.FromDays(1)) { LicenseId = "lic-1" };
        await _server.Licenses.IssueAsync(order);
        var ahead = _agent.CheckInRequest() with { RevocationsVersion = 6 };
        Assert.Null((await _agent.SendAsync<CheckInAnswer>(ahead)).Revocations);
        await _server.Licenses.RevokeAsync("lic-1");
        var next = _agent.CheckInRequest() with { RevocationsVersion = 6 };
        Assert.Equal(7, (await _agent.SendAsync<CheckInAnswer>(next)).Revocations!.Version);
    }

    private static Digest32 Head(byte of) => Digest32.Sha256([of]);

    private CheckInRequest Shows(long seq, Digest32 head, AuditPoint? witnessed = null) =>
        _agent.CheckInRequest() with { Audit = new AuditEvidence(seq, head, witnessed) };

    private async Task<bool> ConflictsAsync(CheckInRequest request) =>
        (await _agent.SendAsync<CheckInAnswer>(request)).Witness.Conflict;

    private async Task<IReadOnlyList<Directive>> DirectivesAsync() =>
        (await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest())).Directives;
}
