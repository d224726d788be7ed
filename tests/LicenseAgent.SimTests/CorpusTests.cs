using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Plans;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>Plans that once broke something run for ever.</summary>
public sealed class CorpusTests
{
    [Fact]
    public void No_plan_of_the_corpus_breaks_anything()
    {
        string[] files = [.. Directory.EnumerateFiles(Path.Combine(Root(), "tests/corpus"), "*.json").Order()];
        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            RunOutcome run = Runner.Run(Plan.Read(File.ReadAllText(file)));
            string findings = string.Join('\n', run.Violations);
            Assert.True(run.IsClean, $"{Path.GetFileName(file)}: {run.Escape}{findings}");
        }
    }

    internal static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "LicenseAgent.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests do not lie in the tree.");
    }
}
