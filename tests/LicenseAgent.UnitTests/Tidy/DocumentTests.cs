using System.Text.RegularExpressions;
using LicenseAgent.Daemon.Config;
using Xunit;

namespace LicenseAgent.UnitTests.Tidy;

/// <summary>What the texts name is there, and what an operator can set is explained.</summary>
public sealed partial class DocumentTests
{
    private static readonly string[] Texts = ["README.md", "src/ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"];

    [Fact]
    public void Every_invariant_has_one_line_in_the_README()
    {
        int[] named =
        [
            .. GuaranteeRow().Matches(SourceTree.Read("README.md"))
                .SelectMany(row => InvariantId().Matches(row.Value)).Select(id => int.Parse(id.Groups[1].ValueSpan)),
        ];
        Assert.Equal(Enumerable.Range(1, 30), named);
    }

    [Fact]
    public void Every_test_class_that_the_README_names_is_there()
    {
        IEnumerable<string> files = SourceTree.Files("Tests.cs", "tests").Select(p => Path.GetFileNameWithoutExtension(p)!);
        Assert.Empty(TestClass().Matches(SourceTree.Read("README.md")).Select(m => m.Groups[1].Value).Except(files));
    }

    [Fact]
    public void Every_file_that_a_text_names_is_there()
    {
        IEnumerable<string> missing =
            from text in Texts
            from Match path in TreePath().Matches(SourceTree.Read(text))
            where !SourceTree.Exists(path.Groups[1].Value)
            select $"{text}: {path.Groups[1].Value}";
        Assert.Empty(missing.Except(["README.md: src/$p/bin/Release/net10.0"]));
    }

    [Fact]
    public void Every_configuration_key_is_explained_above_it_in_the_shipped_file()
    {
        HashSet<string> explained = [];
        string table = "";
        bool comment = false;
        foreach (string line in SourceTree.Read("deploy/config.toml").Split('\n'))
        {
            if (line.StartsWith('['))
            {
                table = line.Trim('[', ']');
            }

            if (KeyLine().Match(line) is { Success: true } key)
            {
                // Keys of one kind stand together under one explanation.
                _ = comment && explained.Add($"{table}.{key.Groups[1].Value}");
                continue;
            }

            comment = line.StartsWith("# ", StringComparison.Ordinal);
        }

        Assert.Equal(ConfigReader.Keys().Order(StringComparer.Ordinal), explained.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex(@"^\| I\d\d[^|]*\|", RegexOptions.Multiline)]
    private static partial Regex GuaranteeRow();

    [GeneratedRegex(@"\bI(\d\d)\b")]
    private static partial Regex InvariantId();

    [GeneratedRegex(@"`(\w+Tests)`")]
    private static partial Regex TestClass();

    [GeneratedRegex(@"(?<![\w/.$-])((?:src|tests|sim|deploy|\.ci)/[\w./$-]*[\w/])")]
    private static partial Regex TreePath();

    [GeneratedRegex(@"^(?:# )?(\w+) = ")]
    private static partial Regex KeyLine();
}
