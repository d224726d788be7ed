using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>
/// I18, I19 on the files of a real agent: the same twelve tamperings, by the same numbers, as the unit test of the
/// verifier, found by the command-line tool without the agent, with file and line.
/// </summary>
public sealed class TamperedLogTests(RealLog real) : IClassFixture<RealLog>
{
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
    [InlineData(1, "a flipped byte")]
    [InlineData(2, "a removed line")]
    [InlineData(3, "an added line")]
    [InlineData(4, "two lines swapped")]
    [InlineData(5, "a block of lines moved")]
    [InlineData(6, "a file replaced by another")]
    [InlineData(7, "a missing segment")]
    [InlineData(8, "a checkpoint signed by another key")]
    [InlineData(9, "a checkpoint skipped, and hashed anew")]
    [InlineData(10, "a cut tail")]
    [InlineData(11, "records rewritten behind the last checkpoint")]
    [InlineData(12, "the whole log put back to an older copy")]
    public async Task Each_of_the_twelve_is_found_where_it_was_done(int number, string what)
    {
        LogCopy log = real.CopyLog();
        string expected = Tamper(number, log);
        (int code, string said) = await VerifyAsync(log);
        Assert.True(code == 1, $"{what}: exit {code}, {said}");
        Assert.Contains(expected, said, StringComparison.Ordinal);
    }

    /// <returns>What has to be said: file, line and finding.</returns>
    private string Tamper(int number, LogCopy log)
    {
        (string middle, List<string> lines) = log.Files[1];
        string expected;
        switch (number)
        {
            case 1:
                lines[4] = lines[4].Replace("\"pid\":", "\"pid\":1", StringComparison.Ordinal);
                expected = $"{middle}:5: altered";
                break;
            case 2:
                lines.RemoveAt(4);
                expected = $"{middle}:5: missing";
                break;
            case 3:
                lines.Insert(5, lines[4]);
                expected = $"{middle}:6: out_of_order";
                break;
            case 4:
                (lines[4], lines[5]) = (lines[5], lines[4]);
                expected = $"{middle}:6: out_of_order";
                break;
            case 5:
                lines.InsertRange(8, lines[2..4]);
                lines.RemoveRange(2, 2);
                expected = $"{middle}:7: out_of_order";
                break;
            case 6:
                log.Files[1] = (middle, log.Files[0].Lines);
                expected = $"{middle}:1: out_of_order";
                break;
            case 7:
                log.Files.RemoveAt(1);
                expected = $"{log.Files[1].Name}:1: segment_missing";
                break;
            case 8:
                (int file, int line) = log.Find("\"event\":\"checkpoint_written\"", last: true);
                log.Files[file].Lines[line] = LogCopy.Resigned(log.Files[file].Lines[line]);
                log.HashAnewFrom(file, line);
                expected = $"{log.Files[file].Name}:{line + 1}: checkpoint_signature";
                break;
            case 9:
                (file, line) = log.Find("\"event\":\"checkpoint_written\"");
                log.Files[file].Lines.RemoveAt(line);
                log.HashAnewFrom(file, line);
                (file, line) = log.Find("\"event\":\"checkpoint_written\"");
                expected = $"{log.Files[file].Name}:{line + 1}: checkpoint_content";
                break;
            case 10:
                (file, line) = Witnessed(log);
                log.Files.RemoveRange(file + 1, log.Files.Count - file - 1);
                log.Files[file].Lines.RemoveRange(line, log.Files[file].Lines.Count - line);
                expected = $"{log.Files[file].Name}:{line}: tail_cut";
                break;
            case 11:
                (file, line) = Witnessed(log);
                log.Files[file].Lines[line] = log.Files[file].Lines[line].Replace(
                    "\"up\":", "\"up\":1", StringComparison.Ordinal);
                log.HashAnewFrom(file, line);
                expected = $"{log.Files[file].Name}:{line + 1}: anchor_mismatch";
                break;
            default:
                log.Files.RemoveAt(log.Files.Count - 1);
                log.Files[^1] = ("audit.log", log.Files[^1].Lines);
                expected = $"audit.log:{log.Files[^1].Lines.Count}: tail_cut";
                break;
        }
        log.Save();
        return expected;
    }

    private (int File, int Line) Witnessed(LogCopy log) => log.Find($"{{\"seq\":{real.WitnessedSeq},");

    private async Task<(int Code, string Said)> VerifyAsync(LogCopy log)
    {
        await using ChildProcess cli = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-agent-cli"), ["audit", "verify", "--log", log.Folder, "--state", real.State]);
        int code = await cli.ExitCodeAsync(Cancel);
        return (code, cli.Said);
    }
}
