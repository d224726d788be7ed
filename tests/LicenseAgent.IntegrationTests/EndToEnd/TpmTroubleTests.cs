using LicenseAgent.Client;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>The real daemon, and a TPM that is dead, hung, cleared, put back or lost for good.</summary>
public sealed class TpmTroubleTests
{
    private const int PowerCuts = 20;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Killed_validations_go_on_and_a_rotation_says_why_not_until_it_is_back()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await till.Server.IssueAsync(LiveTill.Name);
        await till.Tpm.KillAsync();

        await Eventually.GetAsync(
            async () => (await till.Operator.RotateAsync(Cancel)).Value is { Reason: "tpm_unavailable" } o ? o : null,
            () => till.Agent.Process.Said, Cancel);

        StatusResponse status = await till.StatusAsync();
        Assert.Equal(("NORMAL", "unavailable"), (status.Mode, status.TpmStatus.State));
        Assert.Contains(status.Alerts, alert => alert.Id == "tpm_unavailable");
        Assert.Contains("license_agent_tpm_available 0", (await till.Operator.MetricsAsync(Cancel)).Value, StringComparison.Ordinal);
        Assert.True((await till.ValidateAsync(token)).IsValid);

        await till.Tpm.RestartAsync(Cancel);
        await OkAsync(till);
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
    }

    [Fact]
    public async Task Stopped_its_commands_end_at_their_deadline_and_validations_do_not_wait()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await till.Server.IssueAsync(LiveTill.Name);
        till.Tpm.Stop();
        Task<ManagementAnswer<RotateOutcome>> rotation = till.Operator.RotateAsync(Cancel);

        Assert.True((await till.ValidateAsync(token)).IsValid);
        Assert.Equal("tpm_unavailable", (await rotation).Value.Reason);

        till.Tpm.Continue();
        await OkAsync(till);
        Assert.DoesNotContain((await till.StatusAsync()).Alerts, alert => alert.Id == "tpm_unavailable");
    }

    [Fact]
    public async Task Absent_at_start_the_till_is_LOCKED_and_serves_when_it_comes()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.KillAgentAsync();
        await till.Tpm.KillAsync();
        await till.RestartAgentAsync();

        StatusResponse status = await till.StatusAsync();
        Assert.Equal(("LOCKED", "tpm_unavailable"), (status.Mode, status.LockReason));

        await till.Tpm.RestartAsync(Cancel);
        await till.AgreementAsync();
    }

    [Fact]
    public async Task Cleared_the_till_is_LOCKED_until_it_is_replaced_and_its_numbers_go_on()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        long before = (await till.StatusAsync()).ActiveSecret!.Version;
        await till.KillAgentAsync();
        await till.Tpm.KillAsync();
        foreach (string file in Directory.GetFiles(till.Tpm.StateDirectory))
        {
            File.Delete(file);
        }

        await till.Tpm.RestartAsync(Cancel);
        await till.RestartAgentAsync();
        StatusResponse status = await till.StatusAsync();
        Assert.Equal(("LOCKED", "tpm_replaced"), (status.Mode, status.LockReason));
        Assert.Contains("enroll --replace", Assert.Single(status.Alerts, a => a.Id == "tpm_unavailable").Detail, StringComparison.Ordinal);

        await till.Operator.EnrollAsync(
            new EnrollCall(await till.Server.AddAgentAsync(LiveTill.Name, replace: true), Replace: true), Cancel);
        await till.AgreementAsync();
        Assert.True((await till.StatusAsync()).ActiveSecret!.Version > before);
    }

    [Fact]
    public async Task A_till_whose_TPM_works_is_not_replaced_by_mistake()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        EnrollCall call = new(await till.Server.AddAgentAsync(LiveTill.Name, replace: true), Replace: true);

        AgentException refused = await Assert.ThrowsAsync<AgentException>(() => till.Operator.EnrollAsync(call, Cancel));
        Assert.Equal(ProblemCodes.Conflict, refused.Problem!.Code);

        await Eventually.GetAsync(() => InsistAsync(till, call with { Force = true }), () => "", Cancel);
        await till.AgreementAsync();
    }

    /// <summary>Null while the agent is busy with something else and asks to repeat the call.</summary>
    private static async Task<EnrollOutcome?> InsistAsync(LiveTill till, EnrollCall call)
    {
        try
        {
            return (await till.Operator.EnrollAsync(call, Cancel)).Value;
        }
        catch (AgentException e) when (e.Problem?.Code == ProblemCodes.NotReady)
        {
            return null;
        }
    }

    [Fact]
    public async Task Rolled_back_the_till_is_repaired_by_the_server_and_the_old_state_never_serves()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string saved = Directory.CreateTempSubdirectory("lsa-tpm-").FullName;
        try
        {
            await till.KillAgentAsync();
            await till.Tpm.KillAsync();
            till.Tpm.SaveState(saved);
            await till.Tpm.RestartAsync(Cancel);
            await till.RestartAgentAsync();
            await till.AgreementAsync();
            Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
            long active = (await till.AgreementAsync()).Active;
            await till.KillAgentAsync();
            await till.Tpm.RestoreStateAsync(saved, Cancel);
            await till.RestartAgentAsync();

            Assert.Equal(active, (await till.AgreementAsync()).Active);
            Assert.Contains("\"reason\":\"state_rollback\"", await File.ReadAllTextAsync(till.Folder.AuditLog, Cancel), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(saved, recursive: true);
        }
    }

    [Fact]
    public async Task Twenty_power_cuts_leave_the_lockout_counter_at_0()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        for (int cut = 0; cut < PowerCuts; cut++)
        {
            // Used after every cut; by a rotation after each second one only, because 16 versions in GRACE are the limit.
            await till.Tpm.RestartAsync(Cancel);
            if (cut % 2 == 0)
            {
                await Eventually.GetAsync(
                    async () => (await till.Operator.RotateAsync(Cancel)).Value is { Outcome: "rotated" } o ? o : null,
                    () => till.Agent.Process.Said, Cancel);
            }
            else
            {
                await till.RestartAgentAsync();
                Assert.Equal("NORMAL", (await till.StatusAsync()).Mode);
            }
        }

        await till.RestartAgentAsync();
        Assert.Equal(0, (await till.StatusAsync()).TpmStatus.LockoutCounter);
        Assert.NotNull((await till.Operator.TpmAsync(Cancel)).Value.ClockMs);
    }

    [Fact]
    public async Task Lost_for_good_it_is_refused_until_an_operator_approves_and_the_TPM_ends_it()
    {
        await using LiveTill till = await LiveTill.StartAsync(Cancel, software: true);
        await till.EnrolAsync();
        long bound = (await till.AgreementAsync()).Active;
        await till.KillAgentAsync();
        await till.Tpm.KillAsync();
        Assert.Empty(Directory.GetFiles(Path.Combine(till.Folder.State, "fallback"), "*", SearchOption.AllDirectories));
        await till.RestartAgentAsync();

        await Eventually.GetAsync(
            async () => (await till.StatusAsync()).Alerts.FirstOrDefault(alert => alert.Id == "downgrade_refused"),
            () => till.Agent.Process.Said, Cancel);
        Assert.Equal("LOCKED", (await till.StatusAsync()).Mode);

        await till.Server.ApproveSoftwareAsync(LiveTill.Name, 2);
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
        StatusResponse status = await till.StatusAsync();
        Assert.Equal("NORMAL", status.Mode);
        Assert.Contains(status.Alerts, alert => alert.Id == "software_fallback");
        Assert.Contains("license_agent_software_fallback 1", (await till.Operator.MetricsAsync(Cancel)).Value, StringComparison.Ordinal);

        LicenseValidation answer = await till.ValidateAsync(await till.Server.IssueAsync(LiveTill.Name));
        Assert.Equal((true, Protections.Software), (answer.IsValid, answer.Protection));

        await till.Tpm.RestartAsync(Cancel);
        await Eventually.GetAsync(
            async () => (await till.StatusAsync()) is { ActiveSecret: { } a } s && a.Version == bound
                && s.Alerts.All(alert => alert.Id != "software_fallback") ? s : null,
            () => till.Agent.Process.Said, Cancel);
        Assert.Equal(bound, till.Server.Books(LiveTill.Name).Active);
    }

    private static Task<StatusResponse> OkAsync(LiveTill till) => Eventually.GetAsync(
        async () => (await till.StatusAsync()) is { TpmStatus.State: "ok" } status ? status : null,
        () => till.Agent.Process.Said, Cancel);
}
