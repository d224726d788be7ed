using LicenseAgent.Client;
using LicenseAgent.ContractTests.Tpm;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// What other people and programs do to a TPM, beside the real daemon: its memory swapped with another till's, an index
/// deleted, the dictionary-attack lockout, an owner password, the device held, every answer late. Each ends in its
/// mode, reason, alert and metric, and is over in the stated way.
/// </summary>
public sealed class TpmMeddlingTests
{
    private const string Replace = "license-agent-cli enroll --replace --bundle FILE";
    private const uint Lockout = 0x921;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Swapped_with_another_tills_while_running_the_till_serves_and_never_uses_it()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string own = till.Folder.Root + "-own", others = till.Folder.Root + "-others";
        await using (LiveTill other = await LiveTill.StartEnrolledAsync(Cancel))
        {
            other.Tpm.SaveState(others);
        }

        string token = await till.Server.IssueAsync(LiveTill.Name);
        till.Tpm.SaveState(own);
        await till.Tpm.RestoreStateAsync(others, Cancel);
        await till.Operator.RotateAsync(Cancel);
        await LostAsync(till, "NORMAL", null, "replaced", Replace);
        Assert.True((await till.ValidateAsync(token)).IsValid);

        await till.RestartAgentAsync();
        await LostAsync(till, "LOCKED", "tpm_replaced", "replaced", Replace);
        Assert.False((await till.ValidateAsync(token)).IsValid);

        // With its own memory back it is the same till again, without anybody doing anything.
        await till.Tpm.RestoreStateAsync(own, Cancel);
        await FineAsync(till);
        Assert.True((await till.ValidateAsync(token)).IsValid);
    }

    [Theory]
    [InlineData(NvLayout.CounterIndex)]
    [InlineData(NvLayout.EvenSlotIndex)]
    [InlineData(NvLayout.MirrorIndex)]
    public async Task With_an_index_deleted_it_is_LOCKED_until_it_is_enrolled_in_place(uint index)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        long before = (await till.StatusAsync()).ActiveSecret!.Version;
        using TpmTools tools = new(till.Bus.ToolsTcti);
        await tools.RunAsync("tpm2_nvundefine", "-C", "o", $"0x{index:x8}");

        await till.RestartAgentAsync();
        await LostAsync(till, "LOCKED", "tpm_replaced", "replaced", $"0x{index:x8}");

        await EnrolAsync(till, new EnrollCall(
            await till.Server.AddAgentAsync(LiveTill.Name, replace: true), Replace: true));
        await FineAsync(till);
        Assert.True((await till.StatusAsync()).ActiveSecret!.Version > before);
    }

    [Fact]
    public async Task A_TPM_that_others_have_locked_out_serves_this_till_all_the_same()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        using TpmTools tools = new(till.Bus.ToolsTcti);
        await tools.RunAsync("tpm2_dictionarylockout", "-s", "-n", "1", "-t", "1000", "-l", "1000");
        await tools.RunAsync("tpm2_createprimary", "-C", "o", "-G", "ecc", "-p", "right", "-c", "key.ctx");
        await File.WriteAllTextAsync(tools.PathOf("message"), "message", Cancel);
        (int exit, string said) = await tools.TryAsync(
            "tpm2_sign", "-c", "key.ctx", "-p", "wrong", "-g", "sha256", "-o", "signature", "message");
        Assert.True(exit != 0, said);
        await tools.RunAsync("tpm2_flushcontext", "-t");
        Assert.Contains("inLockout:                 1", await tools.RunAsync("tpm2_getcap", "properties-variable"), StringComparison.Ordinal);

        await FineAsync(till);
        await till.RestartAgentAsync();
        await FineAsync(till);
        Assert.Equal(1, (await till.StatusAsync()).TpmStatus.LockoutCounter);
    }

    [Fact]
    public async Task A_TPM_that_answers_LOCKOUT_is_asked_again_until_it_is_over()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await till.Server.IssueAsync(LiveTill.Name);
        till.Bus.Add(new TpmRule { On = TpmCommand.Sign, Times = 0, Fault = TpmFault.Answer, Rc = Lockout });

        await till.Operator.RotateAsync(Cancel);
        await LostAsync(till, "NORMAL", null, "lockout", "tpm2_dictionarylockout");
        Assert.True((await till.ValidateAsync(token)).IsValid);

        till.Bus.Heal();
        await FineAsync(till);
    }

    [Fact]
    public async Task An_owner_password_set_later_is_not_needed_but_to_enrol_in_place()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        using TpmTools tools = new(till.Bus.ToolsTcti);
        await tools.RunAsync("tpm2_changeauth", "-c", "owner", "secret");

        await FineAsync(till);
        await till.RestartAgentAsync();
        await FineAsync(till);

        EnrollCall call = new(
            await till.Server.AddAgentAsync(LiveTill.Name, replace: true), Replace: true, Force: true);
        AgentException refused = await Assert.ThrowsAsync<AgentException>(() => EnrolAsync(till, call));
        Assert.Contains("--owner-auth-file", refused.Message, StringComparison.Ordinal);
        await EnrolAsync(till, call with { OwnerAuth = "secret" });
        await FineAsync(till);
    }

    [Fact]
    public async Task Held_by_another_program_it_is_LOCKED_and_serves_when_the_device_is_free()
    {
        // Outlives the daemon, which has it open.
        await using PtyBridge device = PtyBridge.Open();
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.Agent.DisposeAsync();

        // The tap lets go of it; an emulator takes one client at a time.
        await till.Tpm.RestartAsync(Cancel);
        device.Attach(till.Tpm);
        till.Reconfigure(settings => settings with { TpmDevice = device.Device });
        device.Hold();

        // Root opens what is held; the service's user does not.
        await till.StartAgentAsync(null, "setpriv", "--bounding-set", "-sys_admin", "--");
        await LostAsync(till, "LOCKED", "tpm_unavailable", "unavailable", "Another program holds it; use /dev/tpmrm0");

        device.LetGo();
        await FineAsync(till);
    }

    [Fact]
    public async Task As_slow_as_a_real_one_it_starts_rotates_and_raises_nothing()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        till.Bus.Add(new TpmRule { Times = 0, Fault = TpmFault.Delay, DelayMs = 250 });

        await till.RestartAgentAsync();

        await FineAsync(till);
        string metrics = (await till.Operator.MetricsAsync(Cancel)).Value;
        Assert.Contains(
            "license_agent_tpm_operation_duration_seconds_bucket{operation=\"sign\",le=\"0.1\"} 0\n", metrics,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_later_than_its_deadline_is_a_loss_that_ends_with_the_next_one_in_time()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await till.Server.IssueAsync(LiveTill.Name);
        ActiveTpmRule late = till.Bus.Add(new TpmRule { On = TpmCommand.Sign, Times = 0, Fault = TpmFault.Hang });
        Task<ManagementAnswer<RotateOutcome>> rotation = till.Operator.RotateAsync(Cancel);
        await late.Reached.WaitAsync(Cancel);

        Assert.True((await till.ValidateAsync(token)).IsValid);
        Assert.Equal("tpm_unavailable", (await rotation).Value.Reason);
        await LostAsync(till, "NORMAL", null, "unavailable", "restart the machine or the emulator");

        till.Bus.Heal();
        await FineAsync(till);
    }

    /// <summary>Everything that shows that the TPM is lost says the same.</summary>
    private static async Task LostAsync(LiveTill till, string mode, string? reason, string state, string remedy)
    {
        StatusResponse status = await Eventually.GetAsync(
            async () => await till.StatusAsync() is { } s && s.TpmStatus.State == state ? s : null,
            () => till.Agent.Process.Said, Cancel);
        Assert.Equal((mode, reason), (status.Mode, status.LockReason));
        Assert.Contains(remedy, Assert.Single(status.Alerts, a => a.Id == "tpm_unavailable").Detail, StringComparison.Ordinal);
        Assert.Contains("license_agent_tpm_available 0\n", (await till.Operator.MetricsAsync(Cancel)).Value, StringComparison.Ordinal);
        Assert.Contains("\"event\":\"tpm_lost\"", await File.ReadAllTextAsync(till.Folder.AuditLog, Cancel), StringComparison.Ordinal);
        RotateOutcome refused = (await till.Operator.RotateAsync(Cancel)).Value;
        Assert.True(refused.Reason is "tpm_unavailable" or "tpm_replaced", refused.ToString());
    }

    /// <summary>NORMAL, nothing raised about the TPM, and a rotation, which uses all of it.</summary>
    private static async Task FineAsync(LiveTill till)
    {
        await Eventually.GetAsync(
            async () => await till.StatusAsync() is { Mode: "NORMAL", TpmStatus.State: "ok" } s ? s : null,
            () => till.Agent.Process.Said, Cancel);
        RotateOutcome? last = null;
        await Eventually.GetAsync(
            async () => (last = (await till.Operator.RotateAsync(Cancel)).Value) is { Outcome: "rotated" } ? last : null,
            () => $"{last}\n{till.Agent.Process.Said}", Cancel);
        Assert.DoesNotContain((await till.StatusAsync()).Alerts, a => a.Id == "tpm_unavailable");
        Assert.Contains("license_agent_tpm_available 1\n", (await till.Operator.MetricsAsync(Cancel)).Value, StringComparison.Ordinal);
        await till.AgreementAsync();
    }

    /// <summary>Busy with something else, the agent asks to repeat the call.</summary>
    private static Task<EnrollOutcome> EnrolAsync(LiveTill till, EnrollCall call) => Eventually.GetAsync(
        async () =>
        {
            try
            {
                return (await till.Operator.EnrollAsync(call, Cancel)).Value;
            }
            catch (AgentException e) when (e.Problem?.Code == Protocol.Local.ProblemCodes.NotReady)
            {
                return null;
            }
        },
        () => till.Agent.Process.Said, Cancel);
}
