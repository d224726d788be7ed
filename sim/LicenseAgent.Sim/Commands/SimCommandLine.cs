using System.CommandLine;
using System.Globalization;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.Report;

namespace LicenseAgent.Sim.Commands;

/// <summary>The simulator's commands and its exit codes: 0 to 4 as the README has them, 64 for usage.</summary>
internal static class SimCommandLine
{
    private const string SeedWords = "a number, or a commit's 40 characters";

    public static int Run(string[] arguments, TextWriter output, TextWriter error)
    {
        RootCommand root = new("The deterministic fleet simulator: the production agent in a simulated world.")
        {
            Many(output), Failing(output), Corpus(output), Mutants(output), Measuring(output), Working(output),
            Replaying(output), OfPlan("plan", "The plan of a seed.", [], (_, plan) => PlanCommands.Show(plan, output)),
            Explaining(output), Reporting(output), Shrinking(output),
        };
        ParseResult parsed = root.Parse(arguments);
        try
        {
            int code = parsed.Invoke(new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
            });
            return parsed.Errors.Count > 0 ? ExitCodes.Usage : code;
        }
        catch (PlanException e)
        {
            error.WriteLine(e.Message);
            return ExitCodes.Usage;
        }
        catch (Exception e)
        {
            error.WriteLine(e);
            return ExitCodes.HarnessError;
        }
    }

    private static Command Many(TextWriter output)
    {
        Option<string> profile = ProfileOption();
        Option<int> seeds = Count("--seeds", "How many.", 50);
        Option<string> from = From("The first seed: " + SeedWords + ".", "1");
        Option<int> jobs = Jobs();
        Option<int> broken = Count("--broken", "End after so many seeds that break something.", 5);
        Option<string?> report = new("--report") { Description = "A folder for the campaign's page and the broken seeds'." };
        Command command = new("run", "Many seeds of a profile; every 20th twice, of fewer the last.")
        {
            profile, seeds, from, jobs, broken, report,
        };
        command.SetAction(p => new SeedCampaign(Profile.Named(p.GetValue(profile)!), output, p.GetValue(report)).Run(
            SeedCampaign.SeedOf(p.GetValue(from)!), p.GetValue(seeds), p.GetValue(jobs), p.GetValue(broken)));
        return command;
    }

    private static Command Working(TextWriter output)
    {
        Option<string> profile = ProfileOption();
        Command command = new(Workers.Command, "A process of a campaign.") { profile };
        command.Hidden = true;
        command.SetAction(p => Workers.Serve(Profile.Named(p.GetValue(profile)!), Console.In, output));
        return command;
    }

    private static Command Failing(TextWriter output)
    {
        Argument<string?> first = new("SCENARIO")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "One of the scenarios only.",
        };
        string[] scenarios = [.. FailNth.Golden.Select(g => g.Profile)];
        first.AcceptOnlyFromAmong(scenarios);
        Option<string?> scenario = new("--scenario") { Description = "The same." };
        scenario.AcceptOnlyFromAmong(scenarios);
        Option<string?> blow = new("--blow") { Description = "One kind of failure only." };
        blow.AcceptOnlyFromAmong([.. FailNth.Names.Keys]);
        Option<int> call = Count("--call", "This call only, of one scenario and one kind of failure; 0: each.", 0, least: 0);
        Option<int> limit = Count("--limit", "Calls of each at most.", 1_000_000);
        Option<int> every = Count("--every", "A sample: every so-manieth call.", 1);
        Option<string> from = From("Where the sample begins: " + SeedWords + ".", "0");
        Option<string?> report = Pages();
        Command command = new("failnth", "At the k-th call of a port a crash, or one failure, for every k.")
        {
            first, scenario, blow, call, limit, every, from, report,
        };
        command.SetAction(p =>
        {
            string? name = One(p.GetValue(first), p.GetValue(scenario), "the scenario");
            Blow? only = p.GetValue(blow) is { } named ? FailNth.Names[named] : null;
            FailurePages pages = new(p.GetValue(report), output);
            if (p.GetValue(call) is > 0 and int k)
            {
                return name is not null && only is { } falls
                    ? FailNth.Once(name, falls, k, pages, output)
                    : throw new PlanException("--call is one call of a scenario and a --blow; name both.");
            }

            int step = p.GetValue(every);
            int begin = 1 + (int)(SeedCampaign.SeedOf(p.GetValue(from)!) % (ulong)step);
            return FailNth.Walk(name, only, begin, step, p.GetValue(limit), pages, output);
        });
        return command;
    }

    private static Command Corpus(TextWriter output)
    {
        Option<string> folder = new("--folder")
        {
            Description = "Where the plans are.",
            DefaultValueFactory = _ => "tests/corpus",
        };
        Option<string?> report = Pages();
        Command command = new("corpus", "Every kept plan.") { folder, report };
        command.SetAction(p => PlanCommands.Corpus(p.GetValue(folder)!, p.GetValue(report), output));
        return command;
    }

    private static Command Mutants(TextWriter output)
    {
        Option<int> seeds = Count("--seeds", "Within how many each has to be caught.", 200);
        Option<string[]> only = new("--only")
        {
            Description = "Numbers of mutants.",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<int> sample = Count("--sample", "So many, drawn; 0: all.", 0, least: 0);
        Option<string> from = From("What the sample is drawn by: " + SeedWords + ".", "1");
        Option<int> jobs = Jobs();
        Command command = new("mutants", "Tests the tester: every mutant must be caught.")
        {
            seeds, only, sample, from, jobs,
        };
        command.SetAction(p => new MutantRunner(
            p.GetValue(seeds), p.GetValue(only) ?? [], p.GetValue(sample), SeedCampaign.SeedOf(p.GetValue(from)!),
            p.GetValue(jobs), output).Run());
        return command;
    }

    private static Command Measuring(TextWriter output)
    {
        Command command = new("bench", "Seeds and agent-years a second.");
        command.SetAction(_ => Bench.Run(output));
        return command;
    }

    private static Command Replaying(TextWriter output)
    {
        Option<bool> twice = new("--twice") { Description = "Also whether a second run has the same trace." };
        return OfPlan(
            "replay", "One run, its findings, its trace hash.", [twice],
            (p, plan) => PlanCommands.Replay(plan, p.GetValue(twice), output));
    }

    private static Command Explaining(TextWriter output)
    {
        Option<string?> node = new("--node") { Description = "One till only." };
        return OfPlan(
            "explain", "One run, line by line.", [node],
            (p, plan) => PlanCommands.Explain(plan, p.GetValue(node), output));
    }

    private static Command Reporting(TextWriter output)
    {
        Option<string?> file = new("--out") { Description = "The page; run-PROFILE-SEED.html." };
        return OfPlan(
            "report", "One run as an HTML page.", [file],
            (p, plan) => PlanCommands.Report(plan, p.GetValue(file), output));
    }

    private static Command Shrinking(TextWriter output)
    {
        Option<string?> file = new("--out") { Description = "Where the plan is written; else it is shown." };
        Option<string?> invariant = new("--invariant") { Description = "What has to stay broken; the first that is." };
        return OfPlan(
            "shrink", "The smallest plan that still breaks it.", [file, invariant],
            (p, plan) => PlanCommands.Shrink(plan, p.GetValue(invariant), p.GetValue(file), output));
    }

    private static Command OfPlan(string name, string what, Option[] more, Func<ParseResult, PlanSource, int> act)
    {
        Argument<string?> first = new("SEED")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "Of a profile: " + SeedWords + ".",
        };
        Option<string> profile = ProfileOption();
        Option<string?> seed = new("--seed") { Description = "The same." };
        Option<string?> file = new("--plan") { Description = "A file with a plan instead." };
        Command command = new(name, what) { first, seed, profile, file };
        foreach (Option option in more)
        {
            command.Add(option);
        }

        command.SetAction(p => act(p, SourceOf(
            One(p.GetValue(first), p.GetValue(seed), "the seed"), p.GetValue(file), p.GetValue(profile)!)));
        return command;
    }

    private static PlanSource SourceOf(string? seed, string? file, string profile) => (seed, file) switch
    {
        ({ } number, null) => PlanSource.OfSeed(SeedCampaign.SeedOf(number), Profile.Named(profile)),
        (null, { } path) => PlanSource.OfFile(path),
        (null, null) => throw new PlanException("Give a seed, or --plan."),
        _ => throw new PlanException("Give a seed or --plan, not both."),
    };

    /// <summary>Of a thing that may be named with its option or without.</summary>
    private static string? One(string? plain, string? option, string what) => plain is null || option is null
        ? plain ?? option
        : throw new PlanException($"Give {what} once, with its option or without.");

    private static Option<string?> Pages() => new("--report")
    {
        Description = "A folder for a page of each run that breaks something.",
    };

    private static Option<string> ProfileOption() => new("--profile")
    {
        Description = "What kind of runs: " + string.Join(", ", Profile.Names) + ".",
        DefaultValueFactory = _ => "lite",
    };

    private static Option<string> From(string what, string otherwise) => new("--from")
    {
        Description = what,
        DefaultValueFactory = _ => otherwise,
    };

    private static Option<int> Jobs() => Count("--jobs", "Processes.", Environment.ProcessorCount);

    private static Option<int> Count(string name, string what, int otherwise, int least = 1)
    {
        Option<int> option = new(name) { Description = what, DefaultValueFactory = _ => otherwise };
        option.Validators.Add(result =>
        {
            // What is no number at all, the library says.
            if (result.Tokens.Any(t => int.TryParse(t.Value, CultureInfo.InvariantCulture, out int n) && n < least))
            {
                result.AddError($"{name} takes a number from {least} on.");
            }
        });
        return option;
    }
}
