using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Commands;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>A crash at a certain call of a port, or a failing disk.</summary>
public sealed class CrashPointTests
{
    private static readonly Plan s_enrol = FailNth.Golden.Single(plan => plan.Profile == "enrol");

    // At this call a nonce was accepted within the 100 ms that a power cut may forget: I11 has to know of the cut.
    private const int SoonAfterANonce = 144;

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void What_is_forgotten_with_the_power_is_told_from_a_kill(bool power, bool cut)
    {
        (RunOutcome run, bool fell) = FailNth.With(s_enrol, SoonAfterANonce, power ? Blow.PowerCutBefore : Blow.KillBefore);

        Assert.Equal((true, true), (fell, run.IsClean));
        Assert.Equal(cut, run.History.OfType<Ended>().Any(ended => ended.How == EndOf.PowerCut));
    }

    /// <summary>
    /// The server has answered, the identity is durable, and the log cannot be set aside for the new one: the till stayed
    /// not enrolled until it was started again, and said that its TPM works.
    /// </summary>
    [Fact]
    public void An_enrolment_goes_on_when_the_disk_fails_once_whatever_the_step()
    {
        foreach (int step in Enumerable.Range(1, 60))
        {
            (RunOutcome run, bool fell) = FailNth.With(s_enrol, step, Blow.DiskFails);

            Assert.True(fell && run.IsClean, $"step {step}: {string.Join('\n', run.Violations)}");
        }
    }

    /// <summary>
    /// The first file of a state was written, and the TPM not told of it: the till said that its state was put back, and
    /// asked the server for repair (call 50).
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void I07_a_crash_anywhere_in_the_first_generation_leaves_a_till_that_carries_on(bool power)
    {
        foreach (int call in Enumerable.Range(40, 30))
        {
            (RunOutcome run, bool fell) = FailNth.With(s_enrol, call, power ? Blow.PowerCutAfter : Blow.KillAfter);

            Assert.True(fell && run.IsClean, $"call {call}: {string.Join('\n', run.Violations)}");
        }
    }

    /// <summary>
    /// A kill between the answer to a confirm and its commit: the next process's first answer arrives when the one
    /// before was to be looked at, and I16 said that a signed answer was no contact (call 183).
    /// </summary>
    [Fact]
    public void I16_an_answer_is_judged_when_the_agent_has_seen_it_however_soon_it_follows_a_crash()
    {
        Plan orders = FailNth.Golden.Single(plan => plan.Profile == "orders");
        foreach (int call in Enumerable.Range(175, 20))
        {
            (RunOutcome run, bool fell) = FailNth.With(orders, call, Blow.KillAfter);

            Assert.True(fell && run.IsClean, $"call {call}: {string.Join('\n', run.Violations)}");
        }
    }

    [Fact]
    public void The_scenario_of_orders_has_every_order_there_is_and_all_are_carried_out()
    {
        Plan orders = FailNth.Golden.Single(plan => plan.Profile == "orders");
        string[] kinds = [.. OrderKinds.All, OrderKinds.InvalidateAtConfirm];
        Assert.Equal(kinds.Order(), orders.Orders.Select(o => o.Kind).Distinct().Order());

        RunOutcome run = Runner.Run(orders);
        Assert.True(run.IsClean, string.Join('\n', run.Violations));
        Assert.Equal(
            orders.Orders.Count,
            run.History.OfType<Ordered>().Count(o => !o.What.StartsWith("enroll", StringComparison.Ordinal)));

        // The confirm that the invalidation came before was refused, and the till got over it within the hour.
        Assert.Contains(run.History.OfType<Received>(), r => r.Action == "confirm-rotation" && r.Verdict != "ok");
    }
}
