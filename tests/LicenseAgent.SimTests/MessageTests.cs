using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.Report;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>Every request has its way in the history, and on the page.</summary>
public sealed class MessageTests
{
    private const long Hour = 3_600_000_000;

    [Theory]
    [InlineData(FaultKinds.CutOut, 0, "RequestLost", "lost")]
    [InlineData(FaultKinds.CutIn, 0, "AnswerLost", "lost")]
    [InlineData(FaultKinds.Truncates, 100, "AnswerBroken", "lost")]
    [InlineData(FaultKinds.Duplicates, 100, "CopyArrived", "copy")]
    [InlineData(FaultKinds.Flips, 0, "Forged", "made")]
    [InlineData(FaultKinds.Portal, 0, "Forged", "made")]
    [InlineData(FaultKinds.ServerDown, 0, "NobodyThere", "cross")]
    [InlineData(FaultKinds.Latency, 120_000, "TooLate", "late")]
    public void What_a_fault_does_to_a_message_is_its_fate(string kind, long arg, string name, string style)
    {
        RunOutcome run = Runner.Run(Plan with { Faults = [new PlannedFault(1, 3_600, 3_600, "", kind, arg)] });

        MessageFate fate = Enum.Parse<MessageFate>(name);
        Assert.Contains(run.History.OfType<MessageEnded>(), m => m.Fate == fate && m.AtUs is > Hour and < 3 * Hour);
        Assert.DoesNotContain(run.History.OfType<MessageEnded>(), m => m.Fate != MessageFate.Answered && m.AtUs < Hour);
        Assert.Contains($"class=\"{style}\"", new Timeline(run, Hour, 2 * Hour, [SimWorld.NameOf(1)]).Draw(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_that_the_server_judged_arrived_at_that_moment()
    {
        RunOutcome run = Runner.Run(Plan);
        HashSet<long?> arrived = [.. run.History.OfType<MessageEnded>().Select(m => m.ArrivedUs)];
        Received[] judged = [.. run.History.OfType<Received>()];
        Assert.NotEmpty(judged);
        Assert.All(judged, r => Assert.Contains(r.AtUs, arrived));
        Assert.All(judged, r => Assert.NotEmpty(r.Operation));

        long[] left = [.. run.History.OfType<RequestLeft>().Select(m => m.Message)];
        Assert.Equal(left.Order(), run.History.OfType<MessageEnded>().Select(m => m.Message).Order());
    }

    private static Plan Plan { get; } = new(
        Sim.Plans.Plan.CurrentFormat, 3, "messages", 1, 3, new Knobs(CheckInS: 300), [], []);
}
