using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Plans;
using Xunit;

namespace LicenseAgent.SimTests.Campaign;

/// <summary>What a campaign ends with, by the results of its seeds.</summary>
public sealed class SeedCampaignTests
{
    private static readonly Profile Lite = Profile.Named("lite");

    private static readonly IReadOnlyList<string> All = [.. Catalog.Entries.Select(e => e.Id)];

    private readonly StringWriter _output = new();

    [Fact]
    public void Seeds_that_saw_all_and_broke_nothing_are_clean()
    {
        Assert.Equal(ExitCodes.Ok, Run(Clean(1), Clean(2)));
        Assert.EndsWith("clean\n", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_broken_invariant_is_exit_1_with_the_finding_and_how_to_see_it_again()
    {
        Assert.Equal(ExitCodes.Violation, Run(Clean(1), Broken(2), Clean(3)));
        Assert.Contains("I05  0d00:00:01.000  till-0001  It was valid", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("replay --seed 2 --profile lite", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("1 seeds break something: 2", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Something_that_no_seed_saw_is_exit_4_and_named()
    {
        Assert.Equal(ExitCodes.NeverHappened, Run(Clean(1) with { Hits = [.. All.Except(["S05", "S18"])] }));
        Assert.Contains("never happened, or never judged: S05, S18", _output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("clean", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_another_seed_saw_was_seen_and_what_this_profile_need_not_see_is_not_missed()
    {
        SeedResult one = Clean(1) with { Hits = [.. All.Except(["S05", "S09"])] };
        Assert.Equal(ExitCodes.Ok, Run(one, Clean(2) with { Hits = ["S05"] }));
    }

    [Fact]
    public void What_broke_weighs_more_than_what_never_happened() =>
        Assert.Equal(ExitCodes.Violation, Run(Broken(1) with { Hits = [] }));

    [Theory]
    [InlineData(ExitCodes.NotDeterministic, "two runs differ within events 2000 to 3000")]
    [InlineData(ExitCodes.HarnessError, "its worker ended")]
    public void A_run_that_is_worth_nothing_ends_the_campaign_with_its_own_code(int code, string trouble)
    {
        SeedResult[] results = [Broken(1), Clean(2) with { Code = code, Trouble = trouble }, Clean(3)];
        int taken = 0;
        Assert.Equal(code, Run(results.Select(result =>
        {
            taken++;
            return result;
        })));
        Assert.Equal(2, taken);
        Assert.Contains($"seed 2: {trouble}", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("replay --seed 2 --profile lite", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void It_ends_after_so_many_seeds_that_break_something()
    {
        int taken = 0;
        IEnumerable<SeedResult> results = Enumerable.Range(1, 9).Select(i =>
        {
            taken++;
            return Broken((ulong)i);
        });
        Assert.Equal(ExitCodes.Violation, Run(results));
        Assert.Equal(5, taken);
    }

    [Fact]
    public void A_worker_s_line_is_read_as_it_was_written()
    {
        SeedResult read = SeedResult.Read(Broken(7).Write());
        Assert.Equal(Broken(7).Write(), read.Write());
        Assert.Equal(Broken(7).Findings, read.Findings);
    }

    private static SeedResult Clean(ulong seed) => new(seed, ExitCodes.Ok, null, [], All, Steps: 10, AgentHours: 1, "0")
    {
        Judged = AllCheckers.List.ToDictionary(c => c.Id, _ => 1L),
    };

    private static SeedResult Broken(ulong seed) => Clean(seed) with
    {
        Code = ExitCodes.Violation,
        Findings = [new Violation("I05", 1_000_000, "till-0001", "It was valid")],
    };

    private int Run(params IEnumerable<SeedResult> results) =>
        new SeedCampaign(Lite, _output).Run(from: 1, seeds: 9, brokenMax: 5, results);
}
