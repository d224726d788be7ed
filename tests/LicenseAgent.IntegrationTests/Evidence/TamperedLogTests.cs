using LicenseAgent.Testbed.Evidence;
using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>
/// I18, I19 on the files of a real agent: the same twelve tamperings, by the same numbers, as the unit test of the
/// verifier, found by the command-line tool without the agent, with file and line.
/// </summary>
public sealed class TamperedLogTests(RealLog real) : IClassFixture<RealLog>
{
    public static TheoryData<string> Kinds => [.. Tampering.All.Select(t => t.What)];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_untouched_log_of_several_segments_verifies()
    {
        LogCopy log = real.CopyLog();
        Assert.True(log.Files.Count >= 3, $"{log.Files.Count} segments");
        (int code, string said) = await VerifyAsync(log);
        Assert.True(code == 0, said);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Each_of_the_twelve_is_found_where_it_was_done(string what)
    {
        LogCopy log = real.CopyLog();
        string expected = Tampering.All.Single(t => t.What == what).Apply(log, real.WitnessedSeq);
        (int code, string said) = await VerifyAsync(log);
        Assert.True(code == 1, $"{what}: exit {code}, {said}");
        Assert.Contains(expected, said, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Said)> VerifyAsync(LogCopy log)
    {
        await using ChildProcess cli = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-agent-cli"), ["audit", "verify", "--log", log.Folder, "--state", real.State]);
        int code = await cli.ExitCodeAsync(Cancel);
        return (code, cli.Said);
    }
}
