using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Report;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>The page of a campaign.</summary>
public sealed class CampaignPageTests
{
    private static readonly Violation Finding = new("I04", 5_000_000_000, "till-0001", "v1 & <b> went away");

    [Fact]
    public void It_needs_nothing_but_itself()
    {
        string page = Page(Seed(7), Seed(8, Finding));
        foreach (string reference in (string[])["http:", "https:", "<script", "src=", "@import", "url("])
        {
            Assert.DoesNotContain(reference, page, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public void A_broken_seed_stands_on_it_with_the_way_to_its_page_and_how_to_see_it_again()
    {
        string page = Page(Seed(7), Seed(8, Finding));
        Assert.Contains("1 of 2 seeds broke something", page, StringComparison.Ordinal);
        Assert.Contains("href=\"seed-8.html\"", page, StringComparison.Ordinal);
        Assert.Contains("v1 &amp; &lt;b&gt; went away", page, StringComparison.Ordinal);
        Assert.Contains("replay --seed 8 --profile lite", page, StringComparison.Ordinal);
        Assert.Contains("<tr class=\"bad\"><td>I04</td>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<tr class=\"bad\"><td>I02</td>", page, StringComparison.Ordinal);
    }

    [Fact]
    public void What_should_have_happened_and_did_not_is_no_clean_campaign()
    {
        string page = Page(Seed(7));
        Assert.Contains("S02", page, StringComparison.Ordinal);
        Assert.Contains("<tr class=\"none\"><td>S02</td>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<tr class=\"none\"><td>S01</td>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("class=\"clean\"", page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_seed_that_is_worth_nothing_stands_on_it_with_why_and_has_a_page_where_there_was_a_run()
    {
        string page = Page(Seed(7) with { Code = ExitCodes.HarnessError, Trouble = "<its> worker ended" });
        Assert.Contains("Seed 7 ended the campaign: the simulator itself failed.", page, StringComparison.Ordinal);
        Assert.Contains("&lt;its&gt; worker ended", page, StringComparison.Ordinal);
        Assert.DoesNotContain("href", page, StringComparison.Ordinal);

        page = Page(Seed(7) with { Code = ExitCodes.NotDeterministic, Trouble = "they differ", Hash = "17" });
        Assert.Contains("two runs of it differ", page, StringComparison.Ordinal);
        Assert.Contains("href=\"seed-7.html\"", page, StringComparison.Ordinal);
        Assert.Contains("replay --seed 7 --profile lite --twice", page, StringComparison.Ordinal);
    }

    private static SeedResult Seed(ulong seed, params Violation[] findings) =>
        new(seed, findings.Length == 0 ? ExitCodes.Ok : ExitCodes.Violation, null, findings, ["S01"], 1_000, 76, findings.Length == 0 ? "" : "17");

    private static string Page(params SeedResult[] seeds)
    {
        Catalog catalog = new("lite");
        Array.ForEach(seeds, catalog.Note);
        SeedResult[] broken = [.. seeds.Where(s => s.Code != ExitCodes.Ok)];
        return CampaignPage.Write(new CampaignResult(
            "lite", 7, seeds.Length, TimeSpan.FromSeconds(3), seeds.Sum(s => s.AgentHours), seeds.Sum(s => s.Steps),
            broken, catalog));
    }
}
