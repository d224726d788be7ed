using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Up;

/// <summary>Changes one byte of a till's audit log, and has the command-line tool look at it offline.</summary>
internal sealed class AuditTamper(TillFolder till)
{
    /// <summary>Flips a bit in the middle of the log.</summary>
    /// <returns>The line it is in, from 1.</returns>
    public long FlipOneByte()
    {
        byte[] log = File.ReadAllBytes(till.AuditLog);
        int at = log.Length / 2;

        // Not the newline itself: that would be two lines made one, and the next line named.
        at += log[at] == (byte)'\n' ? 1 : 0;
        log[at] ^= 1;
        File.WriteAllBytes(till.AuditLog, log);
        return 1 + log.AsSpan(0, at).Count((byte)'\n');
    }

    /// <summary>Exit code and output of <c>audit verify</c> on the files, without the agent.</summary>
    public async Task<(int Code, string Said)> VerifyAsync(CancellationToken cancel)
    {
        await using ChildProcess cli = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-agent-cli"),
            ["--json", "audit", "verify", "--file", till.AuditLog, "--key", Path.Combine(till.State, "agent.json")]);
        int code = await cli.ExitCodeAsync(cancel);
        return (code, cli.Said);
    }
}
