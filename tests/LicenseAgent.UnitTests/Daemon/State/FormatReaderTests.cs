using System.Text.Json.Nodes;
using LicenseAgent.Core;
using LicenseAgent.Daemon.State;
using LicenseAgent.UnitTests.Tidy;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.State;

/// <summary>I28: the readers of today on the files that <c>tests/formats</c> keeps of each format.</summary>
public sealed class FormatReaderTests
{
    public static TheoryData<int> Formats => [1];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Bound_state_of_each_format_is_read(int format)
    {
        BoundState bound = StateJson.Read(
            Kept(format, "state.json"), StateJson.Strict.BoundState, "state.json", BoundState.CurrentFormat);

        bound.CheckInvariants();
        Assert.Equal((3, 2), (bound.Active!.Version, bound.Grace.Count()));
        Assert.NotNull(bound.Revocations);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Run_state_of_each_format_is_read(int format)
    {
        RunFile run = StateJson.Read(
            Kept(format, "run.json"), StateJson.Strict.RunFile, "run.json", RunFile.CurrentFormat);

        Assert.True(run.Run.Pending is { ConfirmSent: true, Entry.Version: 4 });
        Assert.NotNull(run.Run.Anchor);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Identity_of_each_format_is_read(int format)
    {
        AgentFile agent = StateJson.Read(
            Kept(format, "agent.json"), StateJson.Strict.AgentFile, "agent.json", AgentFile.CurrentFormat);

        Assert.Equal((EnrollmentPhase.Enrolled, "pos-001"), (agent.Phase, agent.AgentId));
        Assert.Equal(agent.Keys!.SigningName, agent.Anchor().SigningName);
    }

    [Theory]
    [InlineData("state.json")]
    [InlineData("run.json")]
    [InlineData("agent.json")]
    public void A_newer_format_is_refused_by_its_number_whatever_else_it_holds(string file)
    {
        JsonNode content = JsonNode.Parse(Kept(1, file))!;
        content["format"] = 99;
        content["of_a_later_program"] = new JsonArray("what", "ever");
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(content.ToJsonString());

        NewerFormatException refusal = Assert.Throws<NewerFormatException>(() => Read(file, bytes));

        Assert.Contains(file, refusal.Message, StringComparison.Ordinal);
    }

    private static object Read(string file, byte[] bytes) => file switch
    {
        "state.json" => StateJson.Read(bytes, StateJson.Strict.BoundState, file, BoundState.CurrentFormat),
        "run.json" => StateJson.Read(bytes, StateJson.Strict.RunFile, file, RunFile.CurrentFormat),
        _ => StateJson.Read(bytes, StateJson.Strict.AgentFile, file, AgentFile.CurrentFormat),
    };

    private static byte[] Kept(int format, string file) => File.ReadAllBytes(
        Path.Combine(SourceTree.Root, "tests", "formats", $"format-{format}", "state", file));
}
