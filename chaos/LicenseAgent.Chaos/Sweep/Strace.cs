using System.Globalization;
using System.Text.RegularExpressions;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>
/// strace on one thread of the running daemon, or on all for calls about one file. Counting and striking begin when it
/// is attached, so that the k-th call is the k-th of the scenario. Counts are by thread: durable calls of one kind are
/// on one thread.
/// </summary>
internal sealed partial class Strace : IAsyncDisposable
{
    public const string DurableCalls =
        "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,"
        + "fchmod,mkdirat,mkdir";

    private readonly ChildProcess _process;
    private readonly string _output;

    private Strace(ChildProcess process, string output) => (_process, _output) = (process, output);

    /// <summary>Records the durable calls of a thread.</summary>
    public static Task<Strace> RecordAsync(AgentProcess agent, string thread, CancellationToken cancel) =>
        AttachAsync(agent, thread, ["-e", "trace=" + DurableCalls], cancel);

    /// <summary>Strikes the k-th call of a kind.</summary>
    public static Task<Strace> InjectAsync(
        AgentProcess agent, CrashPoint.Call at, Strike strike, CancellationToken cancel)
    {
        string what = strike == Strike.Kill ? "signal=KILL" : "error=" + strike.ToString().ToUpperInvariant();
        return AttachAsync(
            agent, at.Thread,
            ["-e", string.Create(CultureInfo.InvariantCulture, $"inject={at.Name}:{what}:when={at.Ordinal}")], cancel);
    }

    /// <summary>Detaches, and gives back the calls it saw that change or sync something, in order.</summary>
    public async Task<IReadOnlyList<TracedCall>> DetachAsync(CancellationToken cancel)
    {
        await _process.TerminateAsync(cancel);
        List<TracedCall> calls = [];
        foreach (string line in File.Exists(_output) ? await File.ReadAllLinesAsync(_output, cancel) : [])
        {
            if (CallLine().Match(line) is { Success: true } call)
            {
                calls.Add(new TracedCall(
                    call.Groups["thread"].Value, call.Groups["name"].Value, About(call.Groups["rest"].Value),
                    line.Contains("O_WRONLY", StringComparison.Ordinal)
                    || line.Contains("O_RDWR", StringComparison.Ordinal)
                    || call.Groups["name"].Value != "openat",
                    line.Contains("(INJECTED)", StringComparison.Ordinal)));
            }
        }

        return calls;
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        File.Delete(_output);
    }

    private static async Task<Strace> AttachAsync(
        AgentProcess agent, string thread, IEnumerable<string> expression, CancellationToken cancel)
    {
        string output = Path.Combine(agent.Till.Root, $"strace.{Guid.NewGuid():n}");
        string[] whom = thread == "*"
            ? ["-f", "-P", agent.Till.AuditLog, "-p", Text(agent.Process.Id)]
            : ["-p", Text(ThreadOf(agent.Process.Id, thread))];
        ChildProcess process = await ChildProcess.StartAsync(
            "strace", ["-y", "-s", "0", "-o", output, .. expression, .. whom]);
        Strace strace = new(process, output);
        try
        {
            await process.WaitForLineAsync("attached", cancel);
            return strace;
        }
        catch (Exception)
        {
            await strace.DisposeAsync();
            throw;
        }
    }

    private static int ThreadOf(int process, string name)
    {
        foreach (string task in Directory.GetDirectories($"/proc/{process}/task"))
        {
            if (File.ReadAllText(Path.Combine(task, "comm")).TrimEnd() == name)
                return int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture);
        }

        throw new InvalidOperationException($"The daemon has no thread called {name}.");
    }

    // The last path of the call: the new name of a rename, the file behind a descriptor.
    private static string About(string rest)
    {
        string[] paths = [.. PathText().Matches(rest).Select(m => m.Groups["path"].Value)];
        string path = paths.LastOrDefault(p => !p.StartsWith("AT_", StringComparison.Ordinal)) ?? "";
        return Path.GetFileName(path.TrimEnd('/'));
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex("""^(?:(?<thread>\d+)\s+)?(?<name>[a-z0-9]+)\((?<rest>.*)""")]
    private static partial Regex CallLine();

    [GeneratedRegex("""["<](?<path>[^"<>]+)[">]""")]
    private static partial Regex PathText();
}

/// <summary>One line of strace.</summary>
/// <param name="About">Name of the file.</param>
/// <param name="Writes">It can change something: an open for reading cannot.</param>
internal sealed record TracedCall(string Thread, string Name, string About, bool Writes, bool Injected);
