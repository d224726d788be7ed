using System.Text.RegularExpressions;
using Xunit;

namespace LicenseAgent.UnitTests.Tidy;

/// <summary>Every experiment below <c>chaos/</c> says what it is about and can be run.</summary>
public sealed partial class ChaosTests
{
    private static readonly string[] Headings = ["Hypothesis", "Steady state", "Fault", "Must hold"];

    private static readonly string[] Folders =
    [
        .. Directory.GetDirectories(Path.Combine(SourceTree.Root, "chaos")).Select(d => Path.GetFileName(d))
            .Where(name => !name.StartsWith("LicenseAgent.", StringComparison.Ordinal)
                && name is not ("bin" or "obj" or "artifacts")).Order(StringComparer.Ordinal),
    ];

    [Fact]
    public void Every_folder_has_a_number_of_its_own()
    {
        Assert.NotEmpty(Folders);
        Assert.All(Folders, name => Assert.Matches(NumberedName(), name));
        Assert.Equal(Folders.Length, Folders.Select(name => name[..2]).Distinct().Count());
    }

    [Fact]
    public void Every_experiment_says_hypothesis_steady_state_fault_and_what_must_hold() => Assert.All(
        Folders,
        name => Assert.All(
            Headings,
            heading => Assert.Contains(
                $"- **{heading}**: ", SourceTree.Read($"chaos/{name}/README.md"), StringComparison.Ordinal)));

    [Fact]
    public void Every_experiment_has_steps_that_the_runner_knows()
    {
        string verbs = SourceTree.Read("chaos/LicenseAgent.Chaos/Scripts/Experiment.cs");
        Assert.All(Folders, name => Assert.All(Steps(name), step => Assert.Contains($"\"{step}\"", verbs, StringComparison.Ordinal)));
    }

    [Fact]
    public void Every_step_is_explained()
    {
        string table = SourceTree.Read("chaos/README.md");
        Assert.All(
            Folders.SelectMany(Steps).Distinct(),
            step => Assert.Matches($"`{Regex.Escape(step)}[ `\\]]", table));
    }

    [Fact]
    public void Every_experiment_expects_something() => Assert.All(
        Folders,
        name => Assert.Contains(Steps(name), step => step is "mode" or "expect" or "rotate" or "sweep" or "load"));

    private static IEnumerable<string> Steps(string folder)
    {
        string[] steps =
        [
            .. SourceTree.Read($"chaos/{folder}/experiment").Split('\n').Select(line => line.Split('#')[0].Trim())
                .Where(line => line.Length > 0).Select(line => line.Split(' ')[0]),
        ];
        Assert.NotEmpty(steps);
        return steps;
    }

    [GeneratedRegex("^[0-9]{2}-[a-z0-9-]+$")]
    private static partial Regex NumberedName();
}
