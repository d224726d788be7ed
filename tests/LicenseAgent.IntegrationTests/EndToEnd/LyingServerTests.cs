using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Servers;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// I09, I16: answers that are old, somebody else's, unsigned, damaged, too long, or lies under the server's own key act
/// on nothing. The agent asks again, and both sides agree in the end.
/// </summary>
public sealed class LyingServerTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(ServerMalice.Replay)]
    [InlineData(ServerMalice.CrossAgent)]
    [InlineData(ServerMalice.Unsigned)]
    [InlineData(ServerMalice.Flipped)]
    [InlineData(ServerMalice.Huge)]
    [InlineData(ServerMalice.Downgrade)]
    [InlineData(ServerMalice.RevokeStorm)]
    public async Task A_lie_for_every_answer_of_a_rotation_and_a_check_in_changes_nothing(ServerMalice malice)
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, TimeSpan.FromSeconds(1));
        string token = await LostAnswerTests.IssueAsync(till);
        ActiveServerFault[] lies =
        [
            .. new[] { AgentActions.CheckIn, AgentActions.RotateSecret, AgentActions.ConfirmRotation }.Select(
                action => till.Server.Faults.Add(new ServerFault { Match = action, Malice = malice })),
        ];

        // What the agent takes for the server's own refusal ends the order, and the operator gives it again.
        for (int i = 0; i < lies.Length && lies.Any(l => l.Seen == 0); i++)
            await LostAnswerTests.RotateDespiteAsync(till);
        foreach (ActiveServerFault lie in lies)
            await lie.Reached.WaitAsync(Cancel);
        TillBooks books = await Eventually.GetAsync(
            async () => await till.AgreementAsync() is { Active: >= 2 } two ? two : null,
            () => till.Read().ToString(), Cancel);

        books.RequireSound();
        Assert.Equal(books.Active, books.Server.Highest);
        Assert.True((await till.ValidateAsync(token)).IsValid);
    }
}
