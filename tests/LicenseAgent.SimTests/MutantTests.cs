using System.Diagnostics;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>The mutants are kept as patches; one that no longer applies tests nothing.</summary>
public sealed class MutantTests
{
    [Fact]
    public void Every_mutant_applies_to_the_tree()
    {
        string[] patches = [.. Directory.EnumerateFiles(Path.Combine(CorpusTests.Root(), "sim/mutants"), "*.patch").Order()];
        Assert.NotEmpty(patches);
        foreach (string patch in patches)
        {
            ProcessStartInfo start = new("git", ["apply", "--check", patch])
            {
                WorkingDirectory = CorpusTests.Root(),
                RedirectStandardError = true,
            };
            using Process process = Process.Start(start)!;
            string said = process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, $"{Path.GetFileName(patch)}: {said}");
        }
    }
}
