using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Commands;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.Report;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>What broke ends with a line that shows it again, and with the exit code of its kind.</summary>
public sealed class ReproTests : IDisposable
{
    private static readonly Plan Quiet = new(Plan.CurrentFormat, 3, "lite", 1, 1, new Knobs(), [], []);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lsa-repro-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("replay --plan {0}")]
    [InlineData("explain --plan {0}")]
    [InlineData("report --plan {0} --out {1}")]
    [InlineData("shrink --plan {0}")]
    [InlineData("corpus --folder {2} --report {2}")]
    public void What_breaks_under_a_plan_of_a_file_ends_with_a_replay_of_that_file(string command)
    {
        string plan = Broken("a plan.json");
        (int code, string[] said) = Say(string.Format(
            System.Globalization.CultureInfo.InvariantCulture, command, "\t", "\n", "\v"), new()
            {
                ["\t"] = plan,
                ["\n"] = Path.Combine(_folder.FullName, "page.html"),
                ["\v"] = _folder.FullName,
            });
        Assert.Equal(ExitCodes.HarnessError, code);
        Assert.StartsWith("REPRO: ", said[^1], StringComparison.Ordinal);
        Assert.EndsWith($" replay --plan '{plan}'", said[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Of_the_corpus_each_plan_that_breaks_something_has_a_page()
    {
        Broken("bad.json");
        File.WriteAllText(Path.Combine(_folder.FullName, "good.json"), Quiet.Write());
        (_, string[] said) = Say("corpus --folder \v --report \v", new() { ["\v"] = _folder.FullName });
        Assert.Contains("ok    good.json", said);
        Assert.Equal(["corpus-bad.html"], _folder.GetFiles("*.html").Select(f => f.Name));
        Assert.Contains("There is no fault", File.ReadAllText(_folder.GetFiles("*.html")[0].FullName), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("replay 3", false)]
    [InlineData("explain 3 --node till-0001", false)]
    [InlineData("shrink 3", false)]
    [InlineData("report 3 --out \v/page.html", false)]
    [InlineData("replay --seed 3 --twice", false)]
    [InlineData("failnth enrol --blow kill-after --call 17", true)]
    public void What_is_clean_has_nothing_to_show_again(string command, bool isCall)
    {
        (int code, string[] said) = Say(command, new() { ["\v"] = _folder.FullName });
        Assert.Equal(ExitCodes.Ok, code);
        Assert.DoesNotContain(said, line => line.StartsWith("REPRO", StringComparison.Ordinal));
        Assert.Equal(
            isCall ? "enrol: kill after call 17" : PlanLine.Of(PlanMaker.Make(3, Profile.Named("lite"))), said[0]);
    }

    [Fact]
    public void A_plan_s_line_has_its_size_and_the_knobs_that_are_turned()
    {
        Plan plan = Quiet with { Knobs = new Knobs(RotationS: 1_800, RefuseWithoutAudit: true), Tills = 2 };
        Assert.Equal(
            "seed 3  lite  2 tills  1 h  0 faults  0 orders  rotation_s=1800 refuse_without_audit=true", PlanLine.Of(plan));
        Assert.Equal("seed 3  lite  1 till  1 h  0 faults  0 orders  no knob turned", PlanLine.Of(Quiet));
    }

    [Theory]
    [InlineData(0, ExitCodes.Violation)]
    [InlineData(1, ExitCodes.HarnessError)]
    [InlineData(2, ExitCodes.NotDeterministic)]
    public void A_call_of_failnth_that_breaks_something_is_named_has_a_page_and_the_exit_code_of_its_kind(int kind, int code)
    {
        RunOutcome run = Runner.Run(Quiet) with
        {
            Violations = kind == 0 ? [new Violation("I02", 60_000_000, "till-0001", "gone")] : [],
            Escape = kind switch
            {
                0 => null,
                1 => new InvalidOperationException("the harness"),
                _ => new LeftTheLoopException("left"),
            },
        };
        using StringWriter output = new();
        FailurePages pages = new(_folder.FullName, output);
        Assert.Equal(code, FailNth.Tell(FailNth.Golden[1], Blow.KillAfter, 17, run, pages, output));

        string[] said = output.ToString().TrimEnd().Split(Environment.NewLine);
        Assert.Equal(Repro.OfCall("orders", "kill-after", 17), said[^1]);
        Assert.EndsWith(" -- failnth orders --blow kill-after --call 17", said[^1], StringComparison.Ordinal);
        Assert.Equal(["failnth-orders-kill-after-17.html"], _folder.GetFiles().Select(f => f.Name));
    }

    [Fact]
    public void Of_one_mistake_that_breaks_thousands_of_calls_there_are_twenty_pages()
    {
        FailurePages pages = new(_folder.FullName, TextWriter.Null);
        RunOutcome run = Runner.Run(Quiet) with { Escape = new InvalidOperationException("the harness"), History = [] };
        for (int i = 0; i < 100; i++)
        {
            pages.Add($"{i}", run, "");
        }

        Assert.Equal(20, _folder.GetFiles().Length);
    }

    [Fact]
    public void A_campaign_shows_the_knobs_of_what_broke_and_how_to_see_it_again()
    {
        (_, string[] said) = Campaign(new SeedResult(
            7, ExitCodes.Violation, null, [new Violation("I02", 5, "till-0001", "gone")], [], 1, 1, "17"));
        int at = Array.FindIndex(said, line => line.StartsWith("I02", StringComparison.Ordinal));
        Assert.Equal(PlanLine.Of(PlanMaker.Make(7, Profile.Named("lite"))), said[at - 1]);
        Assert.Equal(Repro.OfSeed(7, "lite"), said[at + 1]);
    }

    [Theory]
    [InlineData(ExitCodes.NotDeterministic, "17", "index.html seed-7.html")]
    [InlineData(ExitCodes.HarnessError, "17", "index.html seed-7.html")]
    [InlineData(ExitCodes.HarnessError, "", "index.html")]
    public void A_campaign_that_a_worthless_run_ends_has_its_pages_as_far_as_there_was_a_run(int code, string hash, string pages)
    {
        (int ended, string[] said) = Campaign(new SeedResult(7, code, "trouble", [], [], 1, 0, hash));
        Assert.Equal(code, ended);
        Assert.Contains(Repro.OfSeed(7, "lite") + (code == ExitCodes.NotDeterministic ? " --twice" : ""), said);
        Assert.Equal(pages, string.Join(' ', _folder.GetFiles().Select(f => f.Name).Order()));
        Assert.Contains("trouble", File.ReadAllText(Path.Combine(_folder.FullName, "index.html")), StringComparison.Ordinal);
    }

    private (int Code, string[] Said) Campaign(params SeedResult[] seeds)
    {
        using StringWriter output = new();
        SeedCampaign campaign = new(Profile.Named("lite"), output, _folder.FullName);
        int code = campaign.Run(7, seeds.Length, brokenMax: 5, seeds);
        return (code, output.ToString().TrimEnd().Split(Environment.NewLine));
    }

    /// <summary>A plan that no run survives: it has a fault that there is not.</summary>
    private string Broken(string name)
    {
        string file = Path.Combine(_folder.FullName, name);
        File.WriteAllText(file, (Quiet with { Faults = [new PlannedFault(1, 60, 60, "till-0001", "no_such")] }).Write());
        return file;
    }

    private static (int Code, string[] Said) Say(string command, Dictionary<string, string> words)
    {
        using StringWriter output = new();
        string[] arguments =
        [
            .. command.Split(' ').Select(w => words.Aggregate(
                w, (word, known) => word.Replace(known.Key, known.Value, StringComparison.Ordinal))),
        ];
        int code = SimCommandLine.Run(arguments, output, TextWriter.Null);
        return (code, output.ToString().TrimEnd().Split(Environment.NewLine));
    }
}
