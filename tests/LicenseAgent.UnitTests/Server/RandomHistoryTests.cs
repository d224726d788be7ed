using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>
/// The model's histories once more through everything that is real: signed requests, transactions, the file. What the
/// model says of the rules, this says of the storage around them.
/// </summary>
public sealed class RandomHistoryTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Whatever_is_lost_both_sides_agree_again_and_the_audit_chains(int seed)
    {
        await using var server = await ServerHarness.StartAsync();
        var random = new Random(seed);
        var agent = await server.ActiveAsync(1);
        var restore = await server.BackupAsync();
        for (var step = 0; step < 40; step++)
        {
            server.Clock.Now += TimeSpan.FromMinutes(5);
            switch (random.Next(12))
            {
                case < 4: await TryRotateAsync(agent, random); break;
                case 4: await agent.SendAsync<RejectRotationAnswer>(agent.RejectRequest(agent.Highest + 1)); break;
                case 5: agent.Active = 0; break;
                case 6: await restore(); break;
                case 7: restore = await server.BackupAsync(); break;
                case 8: await server.RestartAsync(); break;
                case 9: await agent.SendAsync<CheckInAnswer>(agent.CheckInRequest()); break;
                case 10: await server.Agents.InvalidateBelowAsync("pos-001", server.Agent().Highest); break;
                default: await RepeatAsync(agent); break;
            }

            Assert.True(server.States().Count(letter => letter == 'A') <= 1, server.States());
        }

        while (agent.Active == 0 || server.States().IndexOf('A') + 1 != agent.Active) await agent.RotateAsync();
        await agent.RotateAsync();
        Assert.Equal(agent.Active, server.States().IndexOf('A') + 1);
        Assert.Null(server.Database.Read(
            session => LicenseServer.Storage.AuditChain.FindBreak(session, count: 100_000)));
    }

    /// <summary>A rotation of which the prepare answer, the confirm request or the confirm answer may be
    /// lost.</summary>
    private static async Task TryRotateAsync(TestAgent agent, Random random)
    {
        var answer = await agent.SendAsync<ServerAnswer>(agent.RotateRequest(), allowRefusal: true);
        if (random.Next(4) == 0 || answer is not RotateSecretAnswer prepared) return;
        agent.Stage(prepared);
        if (random.Next(4) == 0) return;
        var confirmed = await agent.SendAsync<ServerAnswer>(
            agent.ConfirmRequest(prepared.SecretVersion), allowRefusal: true);
        if (random.Next(4) != 0 && confirmed is ConfirmRotationAnswer) agent.Active = prepared.SecretVersion;
    }

    private static async Task RepeatAsync(TestAgent agent)
    {
        var request = agent.RotateRequest();
        var first = await agent.SendAsync<RotateSecretAnswer>(request);
        var second = await agent.SendAsync<RotateSecretAnswer>(agent.Again(request));
        Assert.Equal(first.SecretVersion, second.SecretVersion);
        agent.Stage(first);
    }
}
