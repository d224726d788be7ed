using LicenseAgent.Daemon.State;
using LicenseAgent.Testbed.Evidence;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>
/// The log of a till that was stopped in order, changed in each of the twelve ways on a copy of its own, and looked at by
/// the command-line tool without the agent.
/// </summary>
internal sealed class TamperSteps(TillFolder till, Action<string> progress)
{
    private const int FilesMin = 3, ExitFound = 1;

    /// <exception cref="NotMetException">One was not found, or found somewhere else.</exception>
    public async Task RunAsync(CancellationToken cancel)
    {
        byte[] run = await File.ReadAllBytesAsync(Path.Combine(till.State, RunFile.Name), cancel);
        long witnessed = StateJson.Read(run, StateJson.Strict.RunFile, RunFile.Name, RunFile.CurrentFormat)
            .Run.Witnessed?.Seq ?? throw new NotMetException("the server never witnessed the log");
        (int code, string said) = await VerifyAsync(till.Logs, cancel);
        if (code != 0)
            throw new NotMetException($"I18: the untouched log: exit {code}: {said}");
        foreach (Tampering tampering in Tampering.All)
        {
            LogCopy log = Copy();
            if (log.Files.Count < FilesMin)
                throw new NotMetException($"the log has only {log.Files.Count} files");
            string expected = tampering.Apply(log, witnessed);
            (code, said) = await VerifyAsync(log.Folder, cancel);
            progress($"{tampering.What}: {expected}");
            if (code != ExitFound || !said.Contains(expected, StringComparison.Ordinal))
                throw new NotMetException($"I18, I19: {tampering.What}: exit {code}, not \"{expected}\": {said}");
        }
    }

    private LogCopy Copy()
    {
        string folder = Path.Combine(till.Root, "tampered", Path.GetRandomFileName());
        Workplace.CopyTree(till.Logs, folder);
        return new LogCopy(folder);
    }

    private async Task<(int Code, string Said)> VerifyAsync(string folder, CancellationToken cancel)
    {
        await using ChildProcess cli = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-agent-cli"), ["audit", "verify", "--log", folder, "--state", till.State]);
        int code = await cli.ExitCodeAsync(cancel);
        return (code, cli.Said);
    }
}
