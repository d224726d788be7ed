using System.Globalization;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Commands;

/// <summary>Options as <c>--name value</c>; everything else is a word.</summary>
internal sealed class Options
{
    private readonly Dictionary<string, string> _named = new(StringComparer.Ordinal);

    public Options(IReadOnlyList<string> arguments)
    {
        for (int i = 0; i < arguments.Count; i++)
        {
            if (!arguments[i].StartsWith("--", StringComparison.Ordinal))
            {
                Words.Add(arguments[i]);
            }
            else if (i + 1 < arguments.Count)
            {
                _named[arguments[i][2..]] = arguments[++i];
            }
            else
            {
                throw new PlanException($"{arguments[i]} needs a value.");
            }
        }
    }

    public List<string> Words { get; } = [];

    public string Text(string name, string otherwise) => _named.GetValueOrDefault(name, otherwise);

    public string? Text(string name) => _named.GetValueOrDefault(name);

    public int Number(string name, int otherwise) => !_named.TryGetValue(name, out string? text)
        ? otherwise
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new PlanException($"--{name} takes a number.");
}

/// <summary>The simulator's commands and its exit codes: 0 to 4 as the README has them, 64 for usage.</summary>
internal static class SimCommandLine
{
    private const string Usage = """
        license-agent-sim COMMAND
          run      --profile P --seeds N [--from SEED|COMMIT] [--jobs N] [--broken N] [--report FOLDER]
                   many seeds; every 20th twice
          replay   --seed S --profile P | --plan FILE           one run, its findings, its trace hash
          explain  --seed S --profile P | --plan FILE           one run, line by line   [--node TILL]
          report   --seed S --profile P | --plan FILE [--out FILE]   one run as an HTML page
          shrink   --seed S --profile P | --plan FILE [--out FILE]   the smallest plan that still breaks it
          plan     --seed S --profile P                         the plan of a seed
          corpus   [--folder tests/corpus]                      every kept plan
          failnth  [--scenario enrol|orders] [--blow kill-before|kill-after|power-before|power-after|disk|tpm|answer]
                   [--limit N] [--every N --from COMMIT]   at the k-th call of a port a crash, or one failure, for every k
          bench                                                 seeds and agent-years a second
          mutants  [--seeds N] [--only NN,NN] [--sample N --from COMMIT] [--jobs N]   every mutant must be caught
        """;

    public static int Run(IReadOnlyList<string> arguments, TextWriter output)
    {
        try
        {
            Options options = new([.. arguments.Skip(1)]);
            return arguments.Count == 0 ? Help(output) : arguments[0] switch
            {
                "run" => new SeedCampaign(
                    Profile.Named(options.Text("profile", "lite")), output, options.Text("report")).Run(
                    SeedCampaign.SeedOf(options.Text("from", "1")), options.Number("seeds", 50),
                    options.Number("jobs", Environment.ProcessorCount), options.Number("broken", 5)),
                Workers.Command => Workers.Serve(
                    Profile.Named(options.Text("profile", "lite")), Console.In, output),
                "replay" => PlanCommands.Replay(options, output),
                "explain" => PlanCommands.Explain(options, output),
                "report" => PlanCommands.Report(options, output),
                "shrink" => PlanCommands.Shrink(options, output),
                "plan" => PlanCommands.Show(options, output),
                "corpus" => PlanCommands.Corpus(options, output),
                "failnth" => RunFailNth(options, output),
                "bench" => Bench.Run(output),
                "mutants" => new MutantRunner(options, output).Run(),
                _ => Help(output),
            };
        }
        catch (PlanException e)
        {
            output.WriteLine(e.Message);
            return ExitCodes.Usage;
        }
    }

    private static int RunFailNth(Options options, TextWriter output)
    {
        int every = options.Number("every", 1);
        int first = 1 + (int)(SeedCampaign.SeedOf(options.Text("from", "0")) % (ulong)every);
        Blow? only = options.Text("blow", "") switch
        {
            "" => null,
            "kill-before" => Blow.KillBefore,
            "kill-after" => Blow.KillAfter,
            "power-before" => Blow.PowerCutBefore,
            "power-after" => Blow.PowerCutAfter,
            "disk" => Blow.DiskFails,
            "tpm" => Blow.TpmFails,
            "answer" => Blow.AnswerLost,
            string other => throw new PlanException(
                $"There is no blow {other}: kill-before, kill-after, power-before, power-after, disk, tpm, answer."),
        };
        return FailNth.Run(
            options.Text("scenario", ""), only, options.Number("limit", int.MaxValue - every), every, first, output);
    }

    private static int Help(TextWriter output)
    {
        output.WriteLine(Usage);
        return ExitCodes.Usage;
    }
}
