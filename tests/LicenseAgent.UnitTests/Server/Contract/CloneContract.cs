using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>Two machines with one identity: what gives them away, and what never does.</summary>
public abstract class CloneContract : ServerContract
{
    private protected AgentDouble Agent { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Agent = await ActiveAsync();
    }

    [Fact]
    public async Task A_suspect_agent_is_refused_everything_but_its_check_in_until_an_operator_decides()
    {
        await CheckInAsync(Agent.Clock with { Generation = 9 });
        Assert.Equal("CLONE_SUSPECT", await Agent.RefusedAsync(Rotating(Agent.Clock with { Generation = 8 })));
        Server.Pass(Second);
        Assert.Equal("CLONE_SUSPECT", await Agent.RefusedAsync(Rotating(Agent.Clock with { Generation = 10 })));
        Assert.Equal("CLONE_SUSPECT", await Agent.RefusedAsync(Agent.ConfirmRequest(1)));
        await Agent.SendAsync<CheckInAnswer>(Agent.CheckInRequest());
        Audited("clone_suspected", times: 1);

        await Server.ApproveRecoveryAsync();
        await Agent.RotateAsync();
        Assert.Equal(2, Agent.Active);
    }

    [Fact]
    public async Task Two_machines_that_take_turns_are_found_again_after_an_operator_was_wrong()
    {
        ClockEvidence one = Agent.Clock with { BootId = "one" }, two = Agent.Clock with { BootId = "two" };
        await CheckInAsync(one);
        await CheckInAsync(two);
        await CheckInAsync(one);
        Assert.Equal("boot_returned", Server.CloneEvidence);
        await Server.ApproveRecoveryAsync();
        await CheckInAsync(two);
        await CheckInAsync(one);
        Assert.Null(Server.CloneEvidence);
        await CheckInAsync(two);
        Assert.Equal("boot_returned", Server.CloneEvidence);
    }

    [Fact]
    public async Task A_state_put_back_is_no_clone()
    {
        await Agent.RotateAsync();
        RotateSecretRequest old = Agent.RotateRequest(RotationReasons.Recovery) with
        {
            CurrentSecretVersion = 0,
            KcvCurrent = "",
            HighestVersionSeen = 1,
        };
        await Agent.SendAsync<RotateSecretAnswer>(old);
        Assert.Null(Server.CloneEvidence);
    }

    [Fact]
    public async Task Enrolled_anew_the_agent_starts_with_nothing_against_it()
    {
        await CheckInAsync(Agent.Clock with { Generation = 9 });
        await CheckInAsync(Agent.Clock with { Generation = 1 });
        Assert.NotNull(Server.CloneEvidence);
        await Agent.EnrolAsync(await Server.AddAsync("pos-001"));
        await Agent.RotateAsync();
        Assert.Null(Server.CloneEvidence);
    }

    [Fact]
    public async Task More_than_three_recoveries_a_day_wait_for_an_operator()
    {
        for (int i = 0; i < 3; i++) await RecoverAsync();
        Assert.Equal("DOWNGRADE_REFUSED", await Agent.RefusedAsync(Agent.RotateRequest(RotationReasons.Recovery)));
        await Server.ApproveRecoveryAsync();
        for (int i = 0; i < 3; i++) await RecoverAsync();
        Assert.Equal("DOWNGRADE_REFUSED", await Agent.RefusedAsync(Agent.RotateRequest(RotationReasons.Recovery)));
    }

    private protected static TimeSpan Second => TimeSpan.FromSeconds(1);

    private async Task RecoverAsync()
    {
        Server.Pass(Second);
        await Agent.SendAsync<RotateSecretAnswer>(Agent.RotateRequest(RotationReasons.Recovery));
    }

    private RotateSecretRequest Rotating(ClockEvidence clock) => Agent.RotateRequest() with { Clock = clock };

    private protected Task<CheckInAnswer> CheckInAsync(ClockEvidence clock)
    {
        Server.Pass(Second);
        return Agent.SendAsync<CheckInAnswer>(Agent.CheckInRequest() with { Clock = clock });
    }
}
