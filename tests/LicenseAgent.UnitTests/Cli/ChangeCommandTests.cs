using System.Text;
using LicenseAgent.Protocol.Management;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

public sealed class ChangeCommandTests
{
    [Fact]
    public async Task Rotate_names_the_new_version()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "rotate");
        Assert.Equal((0, "Rotated: version 8 is ACTIVE.\n"), (run.Exit, run.Output));
        SeenCall call = Assert.Single(agent.Calls);
        Assert.Equal(("POST", ManagementPaths.Rotate), (call.Method, call.Target));
        Assert.Equal("{}", Encoding.UTF8.GetString(call.Body));
    }

    [Theory]
    [InlineData("not_enrolled", "license-agent-cli enroll --bundle FILE")]
    [InlineData("suspended", "Its operator resumes it")]
    [InlineData("tpm_unavailable", "license-agent-cli tpm")]
    [InlineData("storage_failed", "free its disk")]
    [InlineData("timeout", "network")]
    public async Task A_rotation_that_failed_says_why_and_what_to_do(string reason, string remedy)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Rotation = new RotateOutcome("failed", null, reason);
        CliRun run = await CliRun.OfAsync(agent, "rotate");
        Assert.Equal(1, run.Exit);
        Assert.StartsWith($"Not rotated: {reason}.\n", run.Output, StringComparison.Ordinal);
        Assert.Contains(remedy, run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Invalidate_asks_for_the_version()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "invalidate", "6");
        Assert.Equal((0, "Version 6 is INVALIDATED.\n"), (run.Exit, run.Output));
        SeenCall call = Assert.Single(agent.Calls);
        Assert.Equal(("POST", "/v1/secrets/6/invalidate"), (call.Method, call.Target));
        Assert.Equal("{}", Encoding.UTF8.GetString(call.Body));
    }

    [Fact]
    public async Task A_version_that_is_not_held_is_no_fault_of_the_tool()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "invalidate", "9");
        Assert.Equal(
            (1, "license-agent-cli: Version 9 is not held. See license-agent-cli secrets.\n"), (run.Exit, run.Error));
    }

    [Fact]
    public async Task The_last_usable_version_is_invalidated_only_by_force()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun refused = await CliRun.OfAsync(agent, "invalidate", "7");
        Assert.Equal((1, ""), (refused.Exit, refused.Output));
        Assert.Contains("last usable", refused.Error, StringComparison.Ordinal);

        CliRun forced = await CliRun.OfAsync(agent, "invalidate", "7", "--force");
        Assert.Equal((0, "Version 7 is INVALIDATED.\n"), (forced.Exit, forced.Output));
        Assert.Equal("""{"force":true}""", Encoding.UTF8.GetString(agent.Calls.Last().Body));
        Assert.Equal("application/json", agent.Calls.Last().ContentType);
    }
}
