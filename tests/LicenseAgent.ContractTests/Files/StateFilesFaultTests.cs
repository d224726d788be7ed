using System.Text.RegularExpressions;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

/// <summary>
/// The state files under a kernel that fails or a process that is killed: strace changes the result of the k-th system
/// call of a kind on the storage thread. Needs strace and the right to trace.
/// </summary>
public sealed partial class StateFilesFaultTests : IDisposable
{
    private readonly ScratchState _scratch = new();

    public StateFilesFaultTests()
    {
        _scratch.Open().Dispose();
        File.WriteAllText(_scratch["state.json"], "the old content");
        File.WriteAllText(_scratch["state.json.bak"], "the backup");
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("write", "openat:new write fsync:new fsync:state")]
    [InlineData("replace", "openat:tmp write fsync:tmp renameat fsync:state")]
    [InlineData("rename", "renameat fsync:state")]
    [InlineData("erase", "openat:json write fsync:json unlinkat fsync:state")]
    public async Task A_call_does_what_makes_it_durable_in_this_order(string call, string order)
    {
        var run = await RunAsync(call, "trace=openat,write,fsync,renameat,unlinkat");
        Assert.Equal("done", run.Outcome);
        Assert.Equal(order, string.Join(' ', DurableCalls(run.Trace)));
    }

    [Theory]
    [InlineData("replace", "renameat:error=EROFS", "read_only")]
    [InlineData("write", "write:error=EDQUOT:when=1", "disk_full")]
    [InlineData("erase", "write:error=EIO", "io_error")]
    [InlineData("erase", "unlinkat:error=EACCES", "not_permitted")]
    public async Task A_failed_system_call_is_a_failed_call(string call, string fault, string reason) =>
        Assert.Equal(reason, (await RunAsync(call, "inject=" + fault)).Outcome);

    [Theory]
    [InlineData("replace", "fsync:error=EINTR:when=1..3")]
    [InlineData("replace", "write:error=EINTR:when=1..3")]
    [InlineData("write", "openat:error=EINTR:when=1")]
    public async Task An_interrupted_system_call_is_repeated(string call, string fault) =>
        Assert.Equal("done", (await RunAsync(call, "inject=" + fault)).Outcome);

    [Theory]
    [InlineData("write:signal=KILL:when=1", "the old content")]
    [InlineData("fsync:signal=KILL:when=1", "the old content")]
    [InlineData("renameat:signal=KILL:when=1", "the old content")]
    [InlineData("fsync:signal=KILL:when=2", "the new content")]
    public async Task A_replace_killed_anywhere_leaves_one_whole_file(string fault, string content)
    {
        // The signal arrives before the call takes effect.
        Assert.Equal("", (await RunAsync("replace", "inject=" + fault)).Outcome);
        Assert.Equal(content, await File.ReadAllTextAsync(_scratch["state.json"], Cancel));
    }

    private Task<(string Outcome, string Trace)> RunAsync(string call, string expression) =>
        _scratch.Traced(call).RunAsync(expression);

    // Calls that change something below the state directory, by kind and the end of the path they are about.
    private IEnumerable<string> DurableCalls(string trace)
    {
        foreach (string line in trace.Split('\n').Where(line => line.Contains(_scratch.Path, StringComparison.Ordinal)))
        {
            var call = SystemCall().Match(line);
            string kind = call.Groups["kind"].Value;
            bool opens = kind == "openat";
            if (line.Contains("= -1 ENOENT", StringComparison.Ordinal)
                || (opens && (!line.Contains("O_WRONLY", StringComparison.Ordinal))))
            {
                continue;
            }

            string about = (opens ? call.Groups["opened"] : call.Groups["first"]).Value.Split('/', '.')[^1];
            yield return kind is "openat" or "fsync" ? $"{kind}:{about}" : kind;
        }
    }

    [GeneratedRegex("""(?<kind>[a-z]+)\((AT_FDCWD|\d+)<(?<first>[^>]+)>(, "(?<opened>[^"]+)")?""")]
    private static partial Regex SystemCall();
}
