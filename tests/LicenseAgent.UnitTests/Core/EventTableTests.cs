using System.Reflection;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>Every event in every activity: handled as stated, or a broken invariant. Nothing is left to chance.</summary>
public sealed class EventTableTests
{
    public static TheoryData<string, string> Pairs()
    {
        TheoryData<string, string> pairs = [];
        foreach (string activity in KindsOfActivity())
        {
            foreach (string happened in KindsOf(typeof(AgentEvent)))
            {
                pairs.Add(activity, happened);
            }
        }

        return pairs;
    }

    public static TheoryData<string> BeginningEffects() =>
        [.. KindsOfActivity().Where(a => a != "Idle")];

    [Fact]
    public void Every_kind_of_activity_is_stated() =>
        Assert.Equal(EventTable.Activities.Order(), KindsOfActivity().Order());

    [Fact]
    public void Every_kind_of_event_is_stated() =>
        Assert.Equal(EventTable.Ending.Keys.Concat(EventTable.Beside).Order(), KindsOf(typeof(AgentEvent)).Order());

    [Theory]
    [MemberData(nameof(Pairs))]
    public void An_event_in_an_activity_does_what_is_stated(string activity, string happened)
    {
        AgentState before = EventTable.StateIn(activity);
        AgentEvent e = EventTable.Event(happened, activity);
        Now now = new("boot-1", CoreDriver.FirstBootMs, CoreDriver.FirstBootMs, Given.Start, 12345);
        switch (EventTable.FateOf(activity, happened))
        {
            case Fate.Broken:
                Assert.Throws<InvariantBroken>(() => AgentCore.Step(before, e, now));
                break;
            case Fate.Ends:
                Assert.NotSame(before.Activity, AgentCore.Step(before, e, now).State.Activity);
                break;
            case Fate.Beside when activity != "Idle":
                Assert.Same(before.Activity, AgentCore.Step(before, e, now).State.Activity);
                break;
            default:
                AgentCore.Step(before, e, now);
                break;
        }
    }

    [Theory]
    [MemberData(nameof(BeginningEffects))]
    public void A_write_that_failed_drops_the_activity_its_own_step_should_have_begun(string activity)
    {
        AgentState before = EventTable.StateIn(activity);
        before = before with { LastEffects = [.. before.LastEffects, Beginning(before.Activity)] };
        Now now = new("boot-1", CoreDriver.FirstBootMs, CoreDriver.FirstBootMs, Given.Start, 12345);
        AgentState after = AgentCore.Step(before, new AgentEvent.EffectFailed("ENOSPC"), now).State;

        // What the disk did not keep of the time is told to the TPM at once.
        Assert.True(after.Activity is Activity.Idle or Activity.Anchoring { Mirror: not null }, $"{after.Activity}");
    }

    [Theory]
    [InlineData("Exchanging.Prepare", "Exchanging.Confirm")]
    [InlineData("Exchanging.Confirm", "Exchanging.CheckIn")]
    [InlineData("Exchanging.Reject", "Exchanging.Prepare")]
    [InlineData("Exchanging.CheckIn", "Exchanging.Reject")]
    [InlineData("Exchanging.RenewLicense", "Exchanging.CheckIn")]
    public void The_answer_to_another_request_is_a_bug_of_the_loop(string activity, string answered)
    {
        AgentState before = EventTable.StateIn(activity);
        ServerAnswer answer = EventTable.AnswerTo(answered);
        AgentEvent e = new AgentEvent.AnswerArrived(answer, new byte[] { 1 }, CoreDriver.FirstBootMs);
        Now now = new("boot-1", CoreDriver.FirstBootMs, CoreDriver.FirstBootMs, Given.Start, 12345);
        Assert.Throws<InvariantBroken>(() => AgentCore.Step(before, e, now));
    }

    [Fact]
    public void A_failed_write_in_a_step_without_writes_is_a_bug_of_the_loop()
    {
        AgentState before = EventTable.StateIn("Anchoring") with { LastEffects = [] };
        Now now = new("boot-1", CoreDriver.FirstBootMs, CoreDriver.FirstBootMs, Given.Start, 12345);
        Assert.Throws<InvariantBroken>(() => AgentCore.Step(before, new AgentEvent.EffectFailed("EIO"), now));
    }

    [Fact]
    public void Another_generation_than_the_one_begun_is_a_bug_of_the_loop()
    {
        AgentState before = EventTable.StateIn("Committing");
        BoundState other = ((Activity.Committing)before.Activity).Next with { Generation = 9 };
        Now now = new("boot-1", CoreDriver.FirstBootMs, CoreDriver.FirstBootMs, Given.Start, 12345);
        Assert.Throws<InvariantBroken>(
            () => AgentCore.Step(before, new AgentEvent.GenerationCommitted(other), now));
    }

    internal static AgentEffect Beginning(Activity activity) => activity switch
    {
        Activity.Loading => new AgentEffect.LoadState(),
        Activity.LoadingSecrets a => new AgentEffect.LoadSecrets(a.Entries),
        Activity.LoadingPrevious a => new AgentEffect.LoadPrevious([.. a.Answer.Previous]),
        Activity.Exchanging a => new AgentEffect.Send(a.Plan),
        Activity.Staging a => new AgentEffect.StageSecret(a.Answer, new byte[] { 1 }),
        Activity.Committing a => new AgentEffect.CommitGeneration(a.Next),
        Activity.Probing => new AgentEffect.ProbeTpm(),
        Activity.Anchoring => new AgentEffect.WriteAnchors(false),
        Activity.FetchingKeysets => new AgentEffect.FetchKeysets(1),
        Activity.Enrolling a => new AgentEffect.Enroll(a.Ticket),
        Activity.OpeningSoftware => new AgentEffect.OpenSoftware(false),
        _ => throw new ArgumentException($"{activity} is begun by nothing."),
    };

    private static IEnumerable<string> KindsOfActivity() => KindsOf(typeof(Activity))
        .Where(a => a != "Exchanging")
        .Concat(KindsOf(typeof(RequestPlan)).Select(p => $"Exchanging.{p}"));

    private static IEnumerable<string> KindsOf(Type hierarchy) =>
        hierarchy.GetNestedTypes(BindingFlags.Public).Where(t => t.IsSubclassOf(hierarchy)).Select(t => t.Name);
}
