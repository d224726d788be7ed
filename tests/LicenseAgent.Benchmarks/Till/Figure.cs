using System.Globalization;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Benchmarks.Till;

/// <summary>One line of the table.</summary>
/// <param name="Wanted">Empty for what is measured for comparison only.</param>
/// <param name="Gap">Why it is not reached where it is known not to be; printed then alone.</param>
internal sealed record Figure(string Name, string Measured, string Wanted, bool? Met, string Gap = "")
{
    private const string Note = """
        These figures hold on an otherwise idle machine only; whatever else runs counts against them. The agent and the
        empty handler run in processes of their own, the client in a third on the same machine; rounds alternate.
        """;

    public static Figure AtMost(string name, double value, double limit, string unit, string gap = "") =>
        new(name, Text(value, unit), "<= " + Text(limit, unit), value <= limit, gap);

    public static Figure AtLeast(string name, double value, double limit, string unit, string gap = "") =>
        new(name, Text(value, unit), ">= " + Text(limit, unit), value >= limit, gap);

    public static Figure Only(string name, double value, string unit) => new(name, Text(value, unit), "", null);

    public static void Print(IReadOnlyList<Figure> figures, TextWriter to)
    {
        to.WriteLine();
        to.WriteLine($"{"FIGURE",-46} {"MEASURED",14} {"WANTED",16}  MET");
        foreach (Figure figure in figures)
        {
            string met = figure.Met switch { true => "yes", false => "no", null => "" };
            to.WriteLine($"{figure.Name,-46} {figure.Measured,14} {figure.Wanted,16}  {met}".TrimEnd());
        }
        foreach (Figure missed in figures.Where(f => f is { Met: false, Gap.Length: > 0 }))
            to.WriteLine($"{missed.Name.Trim()}: {missed.Gap}");
        to.WriteLine();
        to.WriteLine(Note);
        to.WriteLine(
            Environment.GetEnvironmentVariable(AgentProcess.ProgramVariable) is { Length: > 0 } program
                ? $"The agent is {program}, as it is published."
                : "The agent is as 'dotnet build' made it, without ahead-of-time code; 'tests/bench' takes the published one.");
    }

    private static string Text(double value, string unit)
    {
        string format = value < 10 ? "0.00" : value < 1000 ? "0.0" : "0";
        return (value.ToString(format, CultureInfo.InvariantCulture) + " " + unit).TrimEnd();
    }
}
