using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.Report;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>The page of a run.</summary>
public sealed class RunPageTests
{
    private static readonly Lazy<RunOutcome> Run = new(() => Runner.Run(new Plan(
        Plan.CurrentFormat, 3, "lite", 2, 2, new Knobs(PosEveryS: 300),
        [new PlannedFault(1, 3_600, 300, SimWorld.NameOf(1), FaultKinds.Kill)], [])));

    [Fact]
    public void A_page_needs_nothing_but_itself()
    {
        string page = RunPage.Write(Run.Value);
        foreach (string reference in (string[])["http:", "https:", "<script", "src=", "@import", "url("])
        {
            Assert.DoesNotContain(reference, page, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public void A_finding_stands_on_it_with_its_claim_and_how_to_see_it_again()
    {
        Violation finding = new("I04", 5_000_000_000, SimWorld.NameOf(1), "v1 & <b> went away");
        string page = RunPage.Write(Run.Value with { Violations = [finding] });
        Assert.Contains("v1 &amp; &lt;b&gt; went away", page, StringComparison.Ordinal);
        Assert.Contains(AllCheckers.List.First(c => c.Id == "I04").Claim, page, StringComparison.Ordinal);
        Assert.Contains("replay --seed 3 --profile lite", page, StringComparison.Ordinal);
        Assert.Contains("What happened there", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Faults_and_tills_have_their_places()
    {
        string page = RunPage.Write(Run.Value);
        Assert.Contains("<title>kill 0d01:00:00.000", page, StringComparison.Ordinal);
        Assert.Contains(">till-0001<", page, StringComparison.Ordinal);
        Assert.Contains(">till-0002<", page, StringComparison.Ordinal);
    }
}
