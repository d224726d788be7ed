using System.Diagnostics;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

/// <summary>
/// One call on a state directory in a process of its own, under strace, which tells or changes what the kernel answers.
/// </summary>
internal static class TracedCall
{
    /// <param name="expression">Of strace, <c>trace=…</c> or <c>inject=…</c>.</param>
    /// <returns>What the call came to, <c>done</c> or a reason, and what strace wrote.</returns>
    public static async Task<(string Outcome, string Trace)> RunAsync(
        ScratchState scratch, string call, string expression)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string traceFile = scratch.Path + ".trace";
        var start = new ProcessStartInfo("strace")
        {
            RedirectStandardOutput = true,
            ArgumentList = { "-f", "-qq", "-o", traceFile, "-y", "-e", expression },
            Environment =
            {
                [InjectionTarget.CallVariable] = call,
                [InjectionTarget.DirectoryVariable] = scratch.Path,
            },
        };
        // Only calls about these paths count and fail: the runtime makes system calls of the same kinds.
        foreach (string path in (string[])["", "/state.json", "/state.json.tmp", "/state.json.new"])
        {
            start.ArgumentList.Add("-P");
            start.ArgumentList.Add(scratch.Path + path);
        }

        start.ArgumentList.Add(Environment.ProcessPath!);
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(InjectionTarget).Assembly.Location);
        using var process = Process.Start(start)!;
        string outcome = await process.StandardOutput.ReadToEndAsync(cancel);
        await process.WaitForExitAsync(cancel);
        string trace = await File.ReadAllTextAsync(traceFile, cancel);
        // A fault that never came true would prove nothing.
        if (expression.Contains(":error=", StringComparison.Ordinal))
            Assert.Contains("(INJECTED)", trace, StringComparison.Ordinal);
        if (expression.Contains(":signal=", StringComparison.Ordinal))
            Assert.Equal(128 + 9, process.ExitCode);
        return (outcome, trace);
    }
}
