using System.Xml.Linq;
using Xunit;

namespace LicenseAgent.UnitTests.Tidy;

/// <summary>
/// Dependencies point one way (src/ARCHITECTURE.md, The picture). Exactly these: a reference that is not needed any
/// more is taken out here too.
/// </summary>
public sealed class ProjectGraphTests
{
    private static readonly Dictionary<string, string[]> Expected = new()
    {
        ["LicenseAgent.Protocol"] = [],
        ["LicenseAgent.Tpm"] = [],
        ["LicensePki"] = [],
        ["LicenseAgent.Core"] = ["LicenseAgent.Protocol"],
        ["LicenseAgent.Daemon"] = ["LicenseAgent.Core", "LicenseAgent.Protocol", "LicenseAgent.Tpm"],
        ["LicenseAgent.Client"] = ["LicenseAgent.Protocol"],
        ["LicenseAgent.Cli"] = ["LicenseAgent.Client", "LicenseAgent.Protocol"],
        ["LicenseServer"] = ["LicenseAgent.Protocol", "LicensePki"],
    };

    [Fact]
    public void The_product_references_what_the_picture_shows_and_nothing_else() =>
        Assert.Equal(Lines(Expected), Lines(References("src")));

    [Fact]
    public void Nothing_of_the_product_references_sim_or_tests() =>
        Assert.All(References("src").Values, names => Assert.All(names, name => Assert.Contains(name, Expected.Keys)));

    [Fact]
    public void The_simulation_references_no_tests()
    {
        Dictionary<string, string[]> tests = References("tests");
        Assert.All(References("sim").Values, names => Assert.Empty(names.Intersect(tests.Keys)));
    }

    [Fact]
    public void The_leaves_need_no_package()
    {
        foreach (string leaf in (string[])["LicenseAgent.Protocol", "LicenseAgent.Core", "LicenseAgent.Tpm", "LicenseAgent.Client"])
        {
            XDocument project = XDocument.Parse(SourceTree.Read($"src/{leaf}/{leaf}.csproj"));
            Assert.DoesNotContain(
                project.Descendants(), e => e.Name.LocalName is "PackageReference" or "FrameworkReference");
        }
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        string solution = SourceTree.Read("LicenseAgent.sln").Replace('\\', '/');
        Assert.All(
            SourceTree.Files(".csproj", "src", "sim", "tests", "chaos"),
            project => Assert.Contains(project, solution, StringComparison.Ordinal));
    }

    private static Dictionary<string, string[]> References(string folder) => SourceTree.Files(".csproj", folder)
        .ToDictionary(
            path => Path.GetFileNameWithoutExtension(path),
            path => XDocument.Parse(SourceTree.Read(path)).Descendants("ProjectReference")
                .Select(e => Path.GetFileNameWithoutExtension(e.Attribute("Include")!.Value)).ToArray());

    private static IEnumerable<string> Lines(Dictionary<string, string[]> graph) => graph
        .Select(p => $"{p.Key} -> {string.Join(", ", p.Value.Order(StringComparer.Ordinal))}")
        .Order(StringComparer.Ordinal);
}
