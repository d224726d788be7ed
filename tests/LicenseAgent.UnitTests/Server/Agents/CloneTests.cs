using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Server.Contract;
using LicenseServer.Rules;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Agents;

/// <summary>The contract on the real server, and what only the real one has.</summary>
public sealed class CloneTests : CloneContract
{
    private ServerHarness Harness => ((RealServer)Server).Harness;

    private protected override Task<ServerBench> StartAsync() => RealServer.StartAsync();

    private static readonly UtcTime Start = new(1_800_000_000_000);
    private static readonly ClockEvidence Clock = new(Start, 20_000, 7, 2, 40, "boot-b", 500_000);
    private static readonly ClockMark Before = new(Start, Clock, ["boot-a", "boot-b"]);

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
    public async Task A_check_in_with_evidence_is_answered_with_its_directives_and_the_suspicion_holds()
    {
        await Harness.Agents.RotateNowAsync("pos-001");
        await CheckInAsync(Agent.Clock with { BoottimeMs = 100_000_000 });
        CheckInAnswer answer = await CheckInAsync(Agent.Clock with { BoottimeMs = 5_000 });
        Assert.Equal([new RotateNowDirective(1)], answer.Directives);
        Assert.Equal("boottime_back", Harness.Agent().CloneEvidence);
        await Harness.RestartAsync();
        Assert.Equal("CLONE_SUSPECT", await Agent.RefusedAsync(Agent.RotateRequest()));
    }
}
