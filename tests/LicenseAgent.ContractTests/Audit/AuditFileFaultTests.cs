using System.Text.RegularExpressions;
using LicenseAgent.ContractTests.Files;
using Xunit;

namespace LicenseAgent.ContractTests.Audit;

/// <summary>
/// The audit file under a kernel that fails or a process that is killed: strace changes the result of the k-th system
/// call of a kind. Needs strace and the right to trace.
/// </summary>
public sealed partial class AuditFileFaultTests : IDisposable
{
    private readonly ScratchLogs _scratch = new();

    public AuditFileFaultTests() => _scratch.Open().Dispose();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("sync", "write:log fsync:log")]
    [InlineData("cut", "write:log ftruncate:log fsync:log")]
    [InlineData("rewrite", "write:log openat:new write:new fsync:new renameat fsync:logs")]
    [InlineData("close", "write:log linkat openat:new renameat fsync:logs")]
    [InlineData("remove", "write:log fsync:log linkat openat:new renameat fsync:logs unlinkat:logs fsync:logs")]
    [InlineData("move", "write:log fsync:log linkat openat:new renameat fsync:logs renameat fsync:logs")]
    public async Task A_call_does_what_makes_it_durable_in_this_order(string call, string order)
    {
        var run = await RunAsync(call, "trace=openat,write,fsync,ftruncate,renameat,linkat,unlinkat");
        Assert.Equal("done", run.Outcome);
        Assert.Equal(order, string.Join(' ', Calls(run.Trace).Select(c => c.What)));
    }

    [Theory]
    [InlineData("sync")]
    [InlineData("cut")]
    [InlineData("rewrite")]
    [InlineData("close")]
    [InlineData("remove")]
    [InlineData("move")]
    public async Task All_durable_calls_run_on_one_thread_and_appends_on_the_callers(string call)
    {
        var run = await RunAsync(call, "trace=openat,write,fsync,ftruncate,renameat,linkat,unlinkat");
        (string Thread, string What)[] calls = [.. Calls(run.Trace)];
        string durable = Assert.Single(calls[1..].Select(c => c.Thread).Distinct());
        Assert.NotEqual(calls[0].Thread, durable);
    }

    [Theory]
    [InlineData("sync", "write:error=ENOSPC:when=1", "disk_full")]
    [InlineData("sync", "write:error=EIO:when=1", "io_error")]
    [InlineData("sync", "fsync:error=EIO:when=1", "io_error")]
    [InlineData("sync", "fsync:error=ENOSPC:when=1", "disk_full")]
    [InlineData("cut", "ftruncate:error=EIO", "io_error")]
    [InlineData("cut", "fsync:error=EIO:when=1", "io_error")]
    [InlineData("rewrite", "fsync:error=EIO:when=1", "io_error")]
    [InlineData("rewrite", "renameat:error=EROFS", "read_only")]
    [InlineData("rewrite", "fsync:error=EIO:when=2", "io_error")]
    [InlineData("close", "linkat:error=EPERM", "not_permitted")]
    [InlineData("close", "renameat:error=EIO", "io_error")]
    [InlineData("close", "fsync:error=EIO:when=1", "io_error")]
    [InlineData("remove", "unlinkat:error=EPERM:when=2", "not_permitted")]
    [InlineData("remove", "fsync:error=EIO:when=3", "io_error")]
    [InlineData("move", "renameat:error=EROFS:when=2", "read_only")]
    [InlineData("move", "fsync:error=EIO:when=3", "io_error")]
    public async Task A_failed_system_call_is_a_failed_call(string call, string fault, string reason) =>
        Assert.Equal(reason, (await RunAsync(call, "inject=" + fault)).Outcome);

    [Theory]
    [InlineData("sync", "fsync:error=EINTR:when=1..3")]
    [InlineData("sync", "write:error=EINTR:when=1")]
    [InlineData("cut", "ftruncate:error=EINTR:when=1..2")]
    public async Task An_interrupted_system_call_is_repeated(string call, string fault) =>
        Assert.Equal("done", (await RunAsync(call, "inject=" + fault)).Outcome);

    [Theory]
    [InlineData("rewrite", "write:signal=KILL:when=1", "one\ntwo\n")]
    [InlineData("rewrite", "fsync:signal=KILL:when=1", "one\ntwo\n")]
    [InlineData("rewrite", "renameat:signal=KILL", "one\ntwo\n")]
    [InlineData("rewrite", "fsync:signal=KILL:when=2", "one\n")]
    [InlineData("close", "linkat:signal=KILL", "one\ntwo\n")]
    [InlineData("close", "renameat:signal=KILL", "one\ntwo\n")]
    [InlineData("close", "fsync:signal=KILL:when=1", "")]
    [InlineData("remove", "unlinkat:signal=KILL:when=2", "")]
    [InlineData("move", "renameat:signal=KILL:when=2", "")]
    public async Task Killed_anywhere_the_log_is_one_whole_file(string call, string fault, string content)
    {
        // The signal arrives before the call takes effect; writes are counted per thread.
        Assert.Equal("", (await RunAsync(call, "inject=" + fault)).Outcome);
        string found = await File.ReadAllTextAsync(_scratch.Log, Cancel);
        Assert.Equal(fault.StartsWith("write", StringComparison.Ordinal) ? "" : content, found);
    }

    private Task<(string Outcome, string Trace)> RunAsync(string call, string expression) => new TracedCall(
        _scratch.Folder, ["audit.log", "audit.log.new", "audit-1.log"],
        (AuditInjectionTarget.CallVariable, call), (AuditInjectionTarget.PathVariable, _scratch.Log)).RunAsync(expression);

    // Calls that change something in the log directory: thread, kind and the end of the path they are about.
    private IEnumerable<(string Thread, string What)> Calls(string trace)
    {
        foreach (string line in trace.Split('\n').Where(l => l.Contains(_scratch.Folder, StringComparison.Ordinal)))
        {
            Match call = SystemCall().Match(line);
            string kind = call.Groups["kind"].Value;
            if (line.Contains("= -1 ENOENT", StringComparison.Ordinal)
                || (kind == "openat" && !line.Contains("O_EXCL", StringComparison.Ordinal)))
            {
                continue;
            }
            string path = (kind == "openat" ? call.Groups["opened"] : call.Groups["first"]).Value;
            string about = path.Split('/', '.')[^1];
            string what = kind is "renameat" or "linkat" ? kind : $"{kind}:{about}";
            yield return (call.Groups["thread"].Value, what);
        }
    }

    [GeneratedRegex("""^(?<thread>\d+) +(?<kind>[a-z]+)\((AT_FDCWD|\d+)<(?<first>[^>]+)>(, "(?<opened>[^"]+)")?""")]
    private static partial Regex SystemCall();
}
