using LicenseAgent.Client;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Servers;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// Every request and every answer lost, one at a time, on the real wire. Afterwards both sides agree, and every number
/// was given out once.
/// </summary>
public sealed class LostAnswerTests
{
    private static readonly TimeSpan s_shortCheckIn = TimeSpan.FromSeconds(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(AgentActions.Enroll, false)]
    [InlineData(AgentActions.Enroll, true)]
    [InlineData(AgentActions.RotateSecret, false)]
    [InlineData(AgentActions.RotateSecret, true)]
    [InlineData(AgentActions.ConfirmRotation, false)]
    [InlineData(AgentActions.ConfirmRotation, true)]
    public async Task A_message_lost_in_enrolment_is_made_good(string action, bool afterCommit)
    {
        await using LiveTill till = await LiveTill.StartAsync(Cancel);
        ActiveServerFault fault = till.Server.Faults.Add(Lose(action, afterCommit));

        await EnrolDespiteAsync(till);
        await fault.Reached.WaitAsync(Cancel);
        TillBooks books = await till.AgreementAsync();

        books.RequireSound();
        Assert.Equal((1, 1), (books.Active, books.Server.Highest));
        Assert.True((await till.ValidateAsync(await IssueAsync(till))).IsValid);
    }

    [Theory]
    [InlineData(AgentActions.RotateSecret, false)]
    [InlineData(AgentActions.RotateSecret, true)]
    [InlineData(AgentActions.ConfirmRotation, false)]
    [InlineData(AgentActions.ConfirmRotation, true)]
    public async Task A_message_lost_in_a_rotation_is_made_good(string action, bool afterCommit)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await IssueAsync(till);
        ActiveServerFault fault = till.Server.Faults.Add(Lose(action, afterCommit));

        await RotateDespiteAsync(till);
        await fault.Reached.WaitAsync(Cancel);
        TillBooks books = await Eventually.GetAsync(
            async () => await till.AgreementAsync() is { Active: 2 } two ? two : null,
            () => till.Read().ToString(), Cancel);

        books.RequireSound();
        Assert.Equal(2, books.Server.Highest);
        Assert.True((await till.ValidateAsync(token)).IsValid);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_message_lost_in_a_check_in_is_made_good(bool afterCommit)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_shortCheckIn);
        ActiveServerFault fault = till.Server.Faults.Add(Lose(AgentActions.CheckIn, afterCommit));
        ActiveServerFault later = till.Server.Faults.Add(
            new ServerFault { Match = AgentActions.CheckIn, Occurrence = 2, AfterAnswer = true });

        await fault.Reached.WaitAsync(Cancel);
        UtcTime? contact = (await till.StatusAsync()).LastContact;
        await later.Reached.WaitAsync(Cancel);
        await Eventually.GetAsync(
            async () => (await till.StatusAsync()).LastContact > contact ? "heard" : null,
            () => "the agent never heard of the server again", Cancel);

        TillBooks books = await till.AgreementAsync();
        books.RequireSound();
        Assert.Equal((1, 1), (books.Active, books.Server.Highest));
    }

    internal static ServerFault Lose(string action, bool afterCommit) =>
        new() { Match = action, Drop = true, AfterCommit = afterCommit };

    /// <summary>A token under the version the server mints with; it waits for the check-in that names it held.</summary>
    internal static Task<string> IssueAsync(LiveTill till) => Eventually.GetAsync<string>(
        async () =>
        {
            try
            {
                return await till.Server.IssueAsync(LiveTill.Name);
            }
            catch (LicenseServer.Agents.OrderRefusedException)
            {
                return null;
            }
        },
        () => "the server never minted a license", Cancel);

    /// <summary>As an operator does it: the call may fail, the agent goes on by itself.</summary>
    internal static async Task EnrolDespiteAsync(LiveTill till)
    {
        try
        {
            await till.EnrolAsync();
        }
        catch (AgentException e)
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"enrol: {e.Message}");
        }
    }

    internal static async Task RotateDespiteAsync(LiveTill till)
    {
        try
        {
            var outcome = (await till.Operator.RotateAsync(Cancel)).Value;
            TestContext.Current.TestOutputHelper?.WriteLine($"rotate: {outcome}");
        }
        catch (AgentException e)
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"rotate: {e.Message}");
        }
    }
}
