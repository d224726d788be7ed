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

    [Fact]
    public void A_scenario_of_the_server_has_agents_and_phases_without_a_rate()
    {
        Scenario s = Read("""
            {"name":"a","about":"b","target":"server","fleet":{"agents":40,"active":9,"action":"rotate"},
             "phases":[{"seconds":1,"closed":9},{"seconds":1,"of_closed":0.5}],"limits":{"per_second":7}}
            """);
        Assert.Equal((40, 9, 0, 1), (s.Fleet!.Agents, s.Fleet.Callers, s.Fleet.Passive, s.Fleet.TimeFactor));
        Assert.Equal((9, 0.5), (s.Phases[0].Closed, s.Phases[1].OfClosed));
    }

    [Theory]
    [InlineData("\"agents\":0,\"action\":\"rotate\"", "agents is 1 to")]
    [InlineData("\"agents\":5,\"active\":6,\"action\":\"rotate\"", "active at most as many")]
    [InlineData("\"agents\":5,\"action\":\"dance\"", "action is 'dance'")]
    [InlineData("\"agents\":5,\"action\":\"check-in\",\"passive\":-1", "passive is -1")]
    [InlineData("\"agents\":5,\"action\":\"check-in\",\"time_factor\":2", "time_factor is for the action schedule")]
    [InlineData("\"agents\":5,\"action\":\"schedule\",\"time_factor\":7", "a divisor of 60")]
    [InlineData("\"agents\":5,\"action\":\"schedule\"", "intervals are needed")]
    [InlineData("\"agents\":9999,\"action\":\"check-in\"", "active is at most")]
    public void What_is_wrong_with_a_fleet_is_said(string fleet, string mistake) => Assert.Contains(
        mistake,
        Assert.Throws<ScenarioException>(() => Read(
            $$"""{"name":"a","about":"b","target":"server","fleet":{{{fleet}}},"phases":[{"seconds":1,"rate":5}]}""")).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("\"phases\":[{\"seconds\":1,\"of_closed\":0.5}]", "after a closed phase")]
    [InlineData("\"phases\":[{\"seconds\":1,\"closed\":6}]", "closed is 6; at most 5")]
    [InlineData("\"phases\":[{\"seconds\":1,\"closed\":5,\"rate\":5}]", "stands alone")]
    [InlineData("\"phases\":[{\"seconds\":1}]", "a rate is above 0")]
    [InlineData("\"phases\":[{\"seconds\":1,\"rate\":5}],\"intervals\":{\"rotation\":8,\"grace\":121,\"check_in\":2}", "15 times")]
    [InlineData("\"phases\":[{\"seconds\":1,\"rate\":5}],\"users\":2", "for the target agent")]
    [InlineData("\"phases\":[{\"seconds\":1,\"rate\":5}],\"baseline\":true", "for the action connect")]
    [InlineData("\"phases\":[{\"seconds\":1,\"rate\":5}],\"limits\":{\"per_second\":1}", "needs a closed phase")]
    [InlineData("\"phases\":[{\"seconds\":1,\"rate\":5}],\"limits\":{\"rate_factor\":1}", "rate_factor needs")]
    [InlineData("\"phases\":[{\"seconds\":1,\"rate\":5}],\"events\":[{\"at\":0,\"do\":\"rotate\"}]", "event rotate")]
    public void What_does_not_belong_to_a_load_on_the_server_is_said(string members, string mistake) => Assert.Contains(
        mistake,
        Assert.Throws<ScenarioException>(() => Read(
            $$"""{"name":"a","about":"b","target":"server","fleet":{"agents":5,"action":"rotate"},{{members}}}""")).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("\"target\":\"till\"", "target is 'till'")]
    [InlineData("\"fleet\":{\"agents\":5}", "for the target server")]
    [InlineData("\"limits\":{\"rotations_failed\":0}", "for the target server")]
    public void What_is_for_the_server_alone_is_refused_elsewhere(string member, string mistake) => Assert.Contains(
        mistake,
        Assert.Throws<ScenarioException>(() => Read(
            $$"""{"name":"a","about":"b","phases":[{"seconds":1,"rate":5}],{{member}}}""")).Message,
        StringComparison.Ordinal);

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
