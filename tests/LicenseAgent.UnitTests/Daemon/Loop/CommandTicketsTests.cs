using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.Loop;
using LicenseAgent.Protocol.Management;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Loop;

public sealed class CommandTicketsTests
{
    [Fact]
    public async Task Who_asked_is_answered_once_the_snapshot_is_there_and_not_when_the_work_is_done()
    {
        Queue<AgentEvent> posted = [];
        var tickets = new CommandTickets(posted.Enqueue, till: null!);
        Task<CommandAnswer<RotateOutcome>> rotation = tickets.Commands().Rotate(TestContext.Current.CancellationToken);
        long ticket = Assert.IsType<AgentEvent.RotateAsked>(posted.Dequeue()).Ticket;

        tickets.CompleteRotate(new AgentEffect.CompleteRotate(ticket, 7, null));
        Assert.False(rotation.IsCompleted);
        tickets.Tell();
        Assert.Equal(new RotateOutcome("rotated", 7, null), (await rotation).Done);
    }

    [Fact]
    public async Task Who_hung_up_meanwhile_is_in_nobodys_way()
    {
        Queue<AgentEvent> posted = [];
        var tickets = new CommandTickets(posted.Enqueue, till: null!);
        using var hangUp = new CancellationTokenSource();
        Task<CommandAnswer<RotateOutcome>> gone = tickets.Commands().Rotate(hangUp.Token);
        Task<CommandAnswer<RotateOutcome>> there = tickets.Commands().Rotate(TestContext.Current.CancellationToken);
        await hangUp.CancelAsync();
        await Assert.ThrowsAsync<TaskCanceledException>(() => gone);

        foreach (AgentEvent.RotateAsked asked in posted.Cast<AgentEvent.RotateAsked>())
            tickets.CompleteRotate(new AgentEffect.CompleteRotate(asked.Ticket, null, "no_contact"));
        tickets.Tell();
        Assert.Equal(new RotateOutcome("failed", null, "no_contact"), (await there).Done);
    }
}
