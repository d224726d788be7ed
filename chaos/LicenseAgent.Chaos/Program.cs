using System.CommandLine;
using LicenseAgent.Chaos;
using LicenseAgent.Chaos.Scripts;

var names = new Argument<string[]>("NN")
{
    Description = "Numbers or names of experiments.",
    Arity = ArgumentArity.ZeroOrMore,
};
var all = new Option<bool>("--all") { Description = "Every experiment, every crash point." };
var smoke = new Option<bool>("--smoke") { Description = "Some experiments and a sample of the crash points." };
var list = new Option<bool>("--list") { Description = "Name the experiments and end." };
var folder = new Option<string>("--experiments") { DefaultValueFactory = _ => "chaos" };
folder.Description = "Where the numbered folders are.";
var report = new Option<string>("--report") { DefaultValueFactory = _ => "chaos-report.html" };
report.Description = "The page to write.";
var root = new RootCommand("Real processes under real faults.") { names, all, smoke, list, folder, report };
root.SetAction(async (parsed, cancel) =>
{
    IReadOnlyList<Experiment> known = Experiment.ReadAll(parsed.GetValue(folder)!);
    string[] wanted = parsed.GetValue(names) ?? [];
    if (parsed.GetValue(list))
    {
        foreach (Experiment e in known)
            Console.WriteLine($"{e.Name,-28} {(e.InSmoke ? "smoke " : "      ")}{e.Title}");
        return 0;
    }

    string[] unknown = [.. wanted.Where(n => !known.Any(e => e.Number == n || e.Name == n))];
    if (unknown.Length > 0 || (wanted.Length == 0 && !parsed.GetValue(all) && !parsed.GetValue(smoke)))
    {
        await Console.Error.WriteLineAsync(
            unknown.Length > 0 ? $"There is no experiment {unknown[0]}." : "Say which: NN, --all or --smoke.");
        return 2;
    }

    bool sampled = parsed.GetValue(smoke);
    Experiment[] chosen = [.. known.Where(e => wanted.Length > 0
        ? wanted.Contains(e.Number) || wanted.Contains(e.Name) : !sampled || e.InSmoke)];
    return await new Campaign(chosen, sampled, parsed.GetValue(report)!).RunAsync(cancel);
});
ParseResult result = root.Parse(args);
if (result.Errors.Count == 0)
{
    // Time to take down what was put up, after Ctrl-C or SIGTERM.
    var patient = new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) };
    return await result.InvokeAsync(patient);
}

foreach (var error in result.Errors)
    Console.Error.WriteLine(error.Message);
return 2;
