using System.Globalization;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Report;

/// <summary>What people see of a run: lines while it goes on, a table and two files at its end.</summary>
internal sealed class ReportFiles(string folder)
{
    private const int LineEvery = 5, ReasonsShown = 3;

    /// <returns>The exit code that the verdict means.</returns>
    public int Write(Scenario scenario, LoadResult result, LoadResult? baseline)
    {
        Verdict verdict = new(scenario, result, baseline);
        string machine = string.Create(CultureInfo.InvariantCulture,
            $"{Environment.ProcessorCount} cores shared by {scenario.Target}, generator and everything else; "
            + $".NET {Environment.Version}; ")
            + DateTimeOffset.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
        Directory.CreateDirectory(folder);
        string html = Path.Combine(folder, scenario.Name + ".html");
        File.WriteAllText(html, HtmlReport.Page(scenario, verdict, result, baseline, machine));
        File.WriteAllBytes(
            Path.Combine(folder, scenario.Name + ".json"),
            JsonReport.Bytes(scenario, verdict, result, baseline, machine));
        Print(verdict.Findings);
        foreach (string trouble in result.Troubles)
        {
            Console.WriteLine($"  trouble: {trouble}");
        }

        Console.WriteLine($"{verdict.Text}. Report: {html}");
        return verdict.IsVoid ? LoadCommand.ExitVoid : verdict.Failed ? LoadCommand.ExitNotMet : LoadCommand.ExitMet;
    }

    public static void Print(IEnumerable<Finding> findings)
    {
        foreach (Finding f in findings)
        {
            string met = f.Met switch { true => "yes", false => "no", null => "" };
            Console.WriteLine($"{f.Name,-34} {f.Measured,-28} {f.Wanted,-14} {met}".TrimEnd());
        }
    }

    /// <summary>A line now and then, and one for every second in which something failed, with the reasons.</summary>
    public static void Progress(LoadResult result, LoadSecond second)
    {
        if (second.Second % LineEvery != 0 && second.Failed == 0)
        {
            return;
        }

        Say(string.Create(CultureInfo.InvariantCulture,
            $"{result.Target,-14} {second.Second,5} s  {second.Due,6} due  {second.Failed,4} failed  "
            + $"p50 {second.Latency.Quantile(0.5) / 1000.0:0.00}  p99 {second.Latency.Quantile(0.99) / 1000.0:0.00}  "
            + $"longest {second.Latency.Max / 1000.0:0.0} ms"));
        foreach (string reason in second.Reasons.Top(ReasonsShown))
        {
            Say($"{"",-14} {"",5}    {reason}");
        }
    }

    public static void Say(string what) => Console.Error.WriteLine(what);
}
