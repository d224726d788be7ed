using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Rules;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Agents;

/// <summary>Two machines with one identity: what gives them away, and what never does.</summary>
public sealed class CloneTests : IAsyncLifetime
{
    private static readonly UtcTime Start = new(1_800_000_000_000);
    private static readonly ClockEvidence Clock = new(Start, 20_000, 7, 2, 40, "boot-b", 500_000);
    private static readonly ClockMark Before = new(Start, Clock, ["boot-a", "boot-b"]);

    private ServerHarness _server = null!;
    private TestAgent _agent = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.ActiveAsync();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    public static TheoryData<string, ClockEvidence, string?> Rules => new()
    {
        { "nothing changed", Clock, null },
        { "time went on", Clock with { BoottimeMs = 900_000, Generation = 41 }, null },
        { "generation lower", Clock with { Generation = 39 }, "generation_back" },
        { "reset count lower", Clock with { ResetCount = 6 }, "reset_count_back" },
        { "boot time back by a minute", Clock with { BoottimeMs = 440_000 }, null },
        { "boot time back by more", Clock with { BoottimeMs = 439_999 }, "boottime_back" },
        { "a new boot", Clock with { BootId = "boot-c", BoottimeMs = 10 }, null },
        { "a boot that returns", Clock with { BootId = "boot-a", BoottimeMs = 900_000 }, "boot_returned" },
        { "the TPM's clock fell at a power cut", Clock with { TpmClockMs = 500 }, null },
        { "restart count lower", Clock with { RestartCount = 0 }, null },
        { "the wall clock was set back", Clock with { Wall = UtcTime.MinValue }, null },
        { "no TPM", Clock with { Generation = null, ResetCount = null, TpmClockMs = null }, null },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Each_rule_of_the_protocol(string what, ClockEvidence clock, string? evidence)
    {
        string? found = CloneRules.Evidence(new CloneFacts(Start + Second, clock, Before, null, false));
        Assert.Equal((what, evidence), (what, found));
    }

    [Fact]
    public void An_overtaken_request_is_no_evidence() => Assert.Null(CloneRules.Evidence(
        new CloneFacts(Start - Second, Clock with { Generation = 1, BootId = "boot-a" }, Before, null, false)));

    [Fact]
    public void The_first_request_of_a_key_is_no_evidence() => Assert.Null(CloneRules.Evidence(
        new CloneFacts(Start, Clock with { Generation = 1 }, null, null, false)));

    [Theory]
    [InlineData(23, false, "both_keys")]
    [InlineData(25, false, null)]
    [InlineData(1, true, null)]
    public void TPM_and_software_key_within_a_day_are_evidence_unless_an_operator_allowed_it(
        int hours, bool allowed, string? evidence) => Assert.Equal(
        evidence,
        CloneRules.Evidence(new CloneFacts(Start, Clock, Before, Start - TimeSpan.FromHours(hours), allowed)));

    [Fact]
    public void Boots_are_remembered_in_order_and_not_for_ever()
    {
        ClockMark mark = CloneRules.After(null, Start, Clock with { BootId = "boot-0" });
        for (int i = 1; i <= CloneRules.BootsMax; i++)
            mark = CloneRules.After(mark, Start + i * Second, Clock with { BootId = $"boot-{i}" });
        Assert.Equal((CloneRules.BootsMax, "boot-1"), (mark.Boots.Count, mark.Boots[0]));
        Assert.Same(mark, CloneRules.After(mark, Start, Clock with { BootId = "boot-0" }));
    }

    [Fact]
    public async Task A_suspect_agent_is_refused_everything_but_its_check_in_until_an_operator_decides()
    {
        await CheckInAsync(_agent.Clock with { Generation = 9 });
        Assert.Equal("CLONE_SUSPECT", await _agent.RefusedAsync(Rotating(_agent.Clock with { Generation = 8 })));
        _server.Clock.Now += Second;
        Assert.Equal("CLONE_SUSPECT", await _agent.RefusedAsync(Rotating(_agent.Clock with { Generation = 10 })));
        Assert.Equal("CLONE_SUSPECT", await _agent.RefusedAsync(_agent.ConfirmRequest(1)));
        await _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest());
        Assert.Single(_server.AuditEvents(), e => e == "clone_suspected");

        await _server.Agents.ApproveRecoveryAsync("pos-001");
        await _agent.RotateAsync();
        Assert.Equal(2, _agent.Active);
    }

    [Fact]
    public async Task A_check_in_with_evidence_is_answered_with_its_directives_and_the_suspicion_holds()
    {
        await _server.Agents.RotateNowAsync("pos-001");
        await CheckInAsync(_agent.Clock with { BoottimeMs = 100_000_000 });
        CheckInAnswer answer = await CheckInAsync(_agent.Clock with { BoottimeMs = 5_000 });
        Assert.Equal([new RotateNowDirective(1)], answer.Directives);
        Assert.Equal("boottime_back", _server.Agent().CloneEvidence);
        await _server.RestartAsync();
        Assert.Equal("CLONE_SUSPECT", await _agent.RefusedAsync(_agent.RotateRequest()));
    }

    [Fact]
    public async Task Two_machines_that_take_turns_are_found_again_after_an_operator_was_wrong()
    {
        ClockEvidence one = _agent.Clock with { BootId = "one" }, two = _agent.Clock with { BootId = "two" };
        await CheckInAsync(one);
        await CheckInAsync(two);
        await CheckInAsync(one);
        Assert.Equal("boot_returned", _server.Agent().CloneEvidence);
        await _server.Agents.ApproveRecoveryAsync("pos-001");
        await CheckInAsync(two);
        await CheckInAsync(one);
        Assert.Null(_server.Agent().CloneEvidence);
        await CheckInAsync(two);
        Assert.Equal("boot_returned", _server.Agent().CloneEvidence);
    }

    [Fact]
    public async Task A_state_put_back_is_no_clone()
    {
        await _agent.RotateAsync();
        RotateSecretRequest old = _agent.RotateRequest(RotationReasons.Recovery) with
        {
            CurrentSecretVersion = 0,
            KcvCurrent = "",
            HighestVersionSeen = 1,
        };
        await _agent.SendAsync<RotateSecretAnswer>(old);
        Assert.Null(_server.Agent().CloneSince);
    }

    [Fact]
    public async Task Enrolled_anew_the_agent_starts_with_nothing_against_it()
    {
        await CheckInAsync(_agent.Clock with { Generation = 9 });
        await CheckInAsync(_agent.Clock with { Generation = 1 });
        Assert.NotNull(_server.Agent().CloneSince);
        await _agent.EnrolAsync(await _server.Agents.AddAsync("pos-001", replace: true));
        await _agent.RotateAsync();
        Assert.Null(_server.Agent().CloneSince);
    }

    [Fact]
    public async Task More_than_three_recoveries_a_day_wait_for_an_operator()
    {
        for (int i = 0; i < 3; i++) await RecoverAsync();
        Assert.Equal("DOWNGRADE_REFUSED", await _agent.RefusedAsync(_agent.RotateRequest(RotationReasons.Recovery)));
        await _server.Agents.ApproveRecoveryAsync("pos-001");
        for (int i = 0; i < 3; i++) await RecoverAsync();
        Assert.Equal("DOWNGRADE_REFUSED", await _agent.RefusedAsync(_agent.RotateRequest(RotationReasons.Recovery)));
    }

    private static TimeSpan Second => TimeSpan.FromSeconds(1);

    private async Task RecoverAsync()
    {
        _server.Clock.Now += Second;
        await _agent.SendAsync<RotateSecretAnswer>(_agent.RotateRequest(RotationReasons.Recovery));
    }

    private RotateSecretRequest Rotating(ClockEvidence clock) => _agent.RotateRequest() with { Clock = clock };

    private Task<CheckInAnswer> CheckInAsync(ClockEvidence clock)
    {
        _server.Clock.Now += Second;
        return _agent.SendAsync<CheckInAnswer>(_agent.CheckInRequest() with { Clock = clock });
    }
}
