using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.UnitTests.Tidy;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

public sealed class ScenarioFileTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public static TheoryData<string> Shipped { get; } =
        [.. SourceTree.Files(".json", "sim").Where(f => f.Contains("/scenarios/", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Shipped))]
    public void A_shipped_scenario_can_be_run_and_bears_the_name_of_its_file(string path) =>
        Assert.Equal(
            Path.GetFileNameWithoutExtension(path), ScenarioFile.Read(Path.Combine(SourceTree.Root, path)).Name);

    [Fact]
    public void What_is_left_out_has_its_default()
    {
        Scenario s = Read("""{"name":"a","about":"b","phases":[{"seconds":1,"rate":5}]}""");
        Assert.Equal((8, 1, false, 0L), (s.Connections, s.Users, s.Baseline, s.Limits.Failed));
        Assert.Equal("constant", s.Phases[0].Arrivals);
    }

    [Fact]
    public void Every_mistake_is_said_at_once()
    {
        ScenarioException e = Assert.Throws<ScenarioException>(() => Read("""
            {"name":"A b","about":"","phases":[{"seconds":0,"rate":-1,"arrivals":"now"}],"users":9,"connections":0,
             "mix":{"repeated":0},"events":[{"at":7,"do":"dance"}],"hostile":{"slow":-1}}
            """));
        Assert.All(
            (string[])["name 'A b'", "arrivals is 'now'", "a rate is", "seconds is above", "users is 9",
                "connections is 0", "mix:", "do is 'dance'", "at is 7", "hostile:"],
            part => Assert.Contains(part, e.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"name":"a","about":"b","phases":[{"seconds":1,"rate":5}],"unheard_of":1}""")]
    [InlineData("""{"name":"a","name":"a","about":"b","phases":[{"seconds":1,"rate":5}]}""")]
    [InlineData("null")]
    [InlineData("")]
    public void What_is_no_scenario_is_refused_with_its_file(string text) => Assert.Contains(
        _file, Assert.Throws<ScenarioException>(() => Read(text)).Message, StringComparison.Ordinal);

    public void Dispose() => File.Delete(_file);

    private Scenario Read(string text)
    {
        File.WriteAllText(_file, text);
        return ScenarioFile.Read(_file);
    }
}
