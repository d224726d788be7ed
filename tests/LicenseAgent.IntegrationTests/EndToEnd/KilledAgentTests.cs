using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// SIGKILL of the daemon around every request and answer: when it is about to send (the TPM has signed and the agent
/// does not know it yet), when the request has arrived, when the server has done its work, and when the answer has left.
/// </summary>
public sealed class KilledAgentTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(AgentActions.Enroll, ServerMoment.Received)]
    [InlineData(AgentActions.Enroll, ServerMoment.Committed)]
    [InlineData(AgentActions.Enroll, ServerMoment.Answered)]
    [InlineData(AgentActions.RotateSecret, ServerMoment.Received)]
    [InlineData(AgentActions.RotateSecret, ServerMoment.Committed)]
    [InlineData(AgentActions.RotateSecret, ServerMoment.Answered)]
    [InlineData(AgentActions.ConfirmRotation, ServerMoment.Received)]
    [InlineData(AgentActions.ConfirmRotation, ServerMoment.Committed)]
    [InlineData(AgentActions.ConfirmRotation, ServerMoment.Answered)]
    public async Task Killed_in_an_enrolment_the_agent_comes_back_enrolled(string action, ServerMoment moment)
    {
        await using LiveTill till = await LiveTill.StartAsync(Cancel);
        Task killed = KillAt(till, action, moment);

        await ReturnAsync(till, killed, LostAnswerTests.EnrolDespiteAsync(till));
        TillBooks books = await till.AgreementAsync();

        books.RequireSound();
        Assert.Equal((1, 1), (books.Active, books.Server.Highest));
        Assert.True((await till.ValidateAsync(await LostAnswerTests.IssueAsync(till))).IsValid);
    }

    [Fact]
    public async Task Killed_before_the_enrolment_is_sent_the_agent_comes_back_and_enrols()
    {
        await using LiveTill till = await LiveTill.StartAsync(Cancel);
        Task killed = KillAtSignature(till, EnrollmentPhase.Enrolling);

        await ReturnAsync(till, killed, LostAnswerTests.EnrolDespiteAsync(till));
        TillBooks books = await till.AgreementAsync();

        books.RequireSound();
        Assert.Equal((1, 1), (books.Active, books.Server.Highest));
    }

    [Fact]
    public async Task Killed_while_its_keys_are_made_the_agent_takes_the_same_bundle_again()
    {
        await using LiveTill till = await LiveTill.StartAsync(Cancel);
        Task killed = KillAtSignature(till, EnrollmentPhase.MakingKeys);

        await ReturnAsync(till, killed, LostAnswerTests.EnrolDespiteAsync(till));
        Assert.Equal("not_enrolled", (await till.StatusAsync()).LockReason);
        await till.EnrolAsync();
        TillBooks books = await till.AgreementAsync();

        books.RequireSound();
        Assert.Equal((1, 1), (books.Active, books.Server.Highest));
    }

    [Theory]
    [InlineData(AgentActions.RotateSecret, ServerMoment.Received)]
    [InlineData(AgentActions.RotateSecret, ServerMoment.Committed)]
    [InlineData(AgentActions.RotateSecret, ServerMoment.Answered)]
    [InlineData(AgentActions.ConfirmRotation, ServerMoment.Received)]
    [InlineData(AgentActions.ConfirmRotation, ServerMoment.Committed)]
    [InlineData(AgentActions.ConfirmRotation, ServerMoment.Answered)]
    public async Task Killed_in_a_rotation_the_agent_completes_it(string action, ServerMoment moment)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await LostAnswerTests.IssueAsync(till);
        Task killed = KillAt(till, action, moment);

        Task rotation = LostAnswerTests.RotateDespiteAsync(till);
        await ReturnAsync(till, killed, rotation, () => till.Read().RequireLeftByCrash(old: 1));
        TillBooks books = await Eventually.GetAsync(
            async () => await till.AgreementAsync() is { Active: 2 } two ? two : null,
            () => till.Read().ToString(), Cancel);

        books.RequireSound();
        Assert.Equal(2, books.Server.Highest);
        Assert.True((await till.ValidateAsync(token)).IsValid);
    }

    [Theory]
    [InlineData(ServerMoment.Received)]
    [InlineData(ServerMoment.Committed)]
    [InlineData(ServerMoment.Answered)]
    public async Task Killed_in_a_check_in_the_agent_changes_nothing(ServerMoment moment)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, TimeSpan.FromSeconds(1));
        Task killed = KillAt(till, AgentActions.CheckIn, moment);

        await ReturnAsync(till, killed, Task.CompletedTask);
        TillBooks books = await till.AgreementAsync();

        books.RequireSound();
        Assert.Equal((1, 1), (books.Active, books.Server.Highest));
        Assert.True((await till.ValidateAsync(await LostAnswerTests.IssueAsync(till))).IsValid);
    }

    private static Task KillAt(LiveTill till, string action, ServerMoment moment) => till.Server.Faults.Add(
        new ServerFault
        {
            Match = action,
            AfterCommit = moment == ServerMoment.Committed,
            AfterAnswer = moment == ServerMoment.Answered,
            Drop = moment == ServerMoment.Received,
        },
        _ => till.KillAgentAsync()).Reached;

    /// <summary>Kills it at the first signature of a phase, when the TPM has made it.</summary>
    private static Task KillAtSignature(LiveTill till, EnrollmentPhase phase)
    {
        TaskCompletionSource killed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        till.Bus.Add(
            new TpmRule { On = TpmCommand.Sign, Times = 0, Fault = TpmFault.CallAfter },
            async _ =>
            {
                if (!killed.Task.IsCompleted && PhaseOf(till) == phase)
                {
                    await till.KillAgentAsync();
                    killed.SetResult();
                }
            });
        return killed.Task;
    }

    private static EnrollmentPhase PhaseOf(LiveTill till) => StateJson.Read(
        File.ReadAllBytes(Path.Combine(till.Folder.State, AgentFile.Name)), StateJson.Strict.AgentFile, AgentFile.Name,
        AgentFile.CurrentFormat).Phase;

    /// <summary>Waits for the kill and for the caller it cut off, looks at what is left, and starts it again.</summary>
    private static async Task ReturnAsync(LiveTill till, Task killed, Task call, Action? look = null)
    {
        await killed.WaitAsync(Cancel);
        await call;
        look?.Invoke();
        await till.RestartAgentAsync();
    }
}
