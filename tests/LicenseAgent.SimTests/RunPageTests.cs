using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
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

    private static readonly string Line = Repro.OfSeed(3, "lite");

    [Fact]
    public void A_page_needs_nothing_but_itself()
    {
        string page = RunPage.Write(Run.Value, Line);
        foreach (string reference in (string[])["http:", "https:", "<script", "src=", "@import", "url("])
        {
            Assert.DoesNotContain(reference, page, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public void A_finding_stands_on_it_with_its_claim_and_how_to_see_it_again()
    {
        Violation finding = new("I04", 5_000_000_000, SimWorld.NameOf(1), "v1 & <b> went away");
        string page = RunPage.Write(Run.Value with { Violations = [finding] }, Line);
        Assert.Contains("v1 &amp; &lt;b&gt; went away", page, StringComparison.Ordinal);
        Assert.Contains(AllCheckers.List.First(c => c.Id == "I04").Claim, page, StringComparison.Ordinal);
        Assert.Contains("replay --seed 3 --profile lite", page, StringComparison.Ordinal);
        Assert.Contains("What led to it", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Five_findings_of_a_kind_and_a_till_each_have_their_pictures_and_the_rest_are_counted()
    {
        Violation[] findings =
        [
            .. Enumerable.Range(1, 56).Select(i => new Violation(
                $"I{(i % 7) + 1:d2}", i * 60_000_000L, SimWorld.NameOf(1), $"number {i}")),
        ];
        string page = RunPage.Write(Run.Value with { Violations = findings }, Line);
        Assert.Equal(5, page.Split("What led to it").Length - 1);
        Assert.Contains("<br>and 2 more</div>", page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_finding_of_the_end_or_of_no_till_has_its_place_too()
    {
        Violation[] findings = [new("I18", long.MaxValue, SimWorld.NameOf(2), "a line"), new("L00", 5, "all", "spins")];
        string page = RunPage.Write(Run.Value with { Violations = findings }, Line);
        Assert.Equal(2, page.Split("What led to it").Length - 1);
    }

    [Fact]
    public void A_run_that_is_worth_nothing_says_why()
    {
        RunOutcome broken = Run.Value with { History = [], Escape = new InvalidOperationException("<no> way") };
        Assert.Contains("&lt;no&gt; way", RunPage.Write(broken, Line), StringComparison.Ordinal);
        string differs = RunPage.Write(Run.Value, Line, "two runs differ");
        Assert.Contains("two runs differ", differs, StringComparison.Ordinal);
        Assert.DoesNotContain("Nothing broke", differs, StringComparison.Ordinal);
    }

    [Fact]
    public void What_stands_in_a_history_is_text_and_never_markup()
    {
        const string Evil = "</title><script>x</script>";
        RunOutcome run = Run.Value with
        {
            History =
            [
                new Started(1, SimWorld.NameOf(1), 1, Evil),
                new FaultBegan(2, SimWorld.NameOf(1), 1, Evil),
                new Seen(2, SimWorld.NameOf(1), "NORMAL", Evil, 1, 0, 1, 0, 1, 0, null),
                new RequestLeft(3, SimWorld.NameOf(1), 1, Evil),
                new Received(4, SimWorld.NameOf(1), Evil, 1, Evil, Evil),
                new MessageEnded(5, SimWorld.NameOf(1), 1, MessageFate.Answered, 4),
                new Ordered(5, SimWorld.NameOf(1), Evil, Evil),
                new Ended(6, SimWorld.NameOf(1), EndOf.Crash, Evil),
            ],
            Violations = [new Violation("L00", 6, SimWorld.NameOf(1), Evil)],
        };
        Assert.DoesNotContain("<script", RunPage.Write(run, Evil, Evil), StringComparison.Ordinal);
    }

    [Fact]
    public void A_page_stays_small_however_much_happened()
    {
        Violation finding = new("I04", 300_000 * 100_000L, SimWorld.NameOf(1), "v1 went away");
        RunOutcome run = Run.Value with
        {
            Violations = [finding, finding with { Node = SimWorld.NameOf(2) }],
            History = [.. Enumerable.Range(0, 300_000).SelectMany(Much)],
        };
        Assert.InRange(RunPage.Write(run, Line).Length, 100_000, 4_000_000);
    }

    /// <summary>Every strip of two tills changes as often as it can.</summary>
    private static IEnumerable<Happening> Much(int i)
    {
        string node = SimWorld.NameOf(1 + (i % 2));
        long at = i * 100_000L;
        return
        [
            new Seen(at, node, i % 4 < 2 ? "NORMAL" : "OFFLINE", "", i / 2, i % 3, 1, 0, 1, i * 1_000L, 0, i % 5 * 90_000_000),
            new Validated(at, node, 1, default, "lic", i / 2, 200, i % 4 < 2 ? "VALID" : "REVOKED", "NORMAL", true),
            new RequestLeft(at, node, i, "/v1/check-in"),
            new MessageEnded(at + 1, node, i, (MessageFate)(i % 8), i % 2 == 0 ? at + 1 : null),
            i % 4 < 2 ? new Started(at, node, i, "") : new Ended(at, node, EndOf.Kill, ""),
        ];
    }

    [Fact]
    public void A_step_of_the_wall_clock_is_in_the_lane_of_the_clocks()
    {
        RunOutcome run = Runner.Run(Run.Value.Plan with
        {
            Tills = 1,
            Faults = [new PlannedFault(1, 1_800, 600, SimWorld.NameOf(1), FaultKinds.WallStep, 86_400 * 5)],
        });
        Assert.Contains(run.History.OfType<Seen>(), s => s.WallOffMs == 86_400_000L * 5);
        Assert.Contains("wall clock, up to +5 d from the truth", RunPage.Write(run, Line), StringComparison.Ordinal);
    }

    [Fact]
    public void Faults_and_tills_have_their_places()
    {
        string page = RunPage.Write(Run.Value, Line);
        Assert.Contains("<title>kill 0d01:00:00.000", page, StringComparison.Ordinal);
        Assert.Contains(">till-0001<", page, StringComparison.Ordinal);
        Assert.Contains(">till-0002<", page, StringComparison.Ordinal);
    }
}
