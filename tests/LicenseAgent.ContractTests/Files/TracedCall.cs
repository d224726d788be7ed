using System.Diagnostics;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

/// <summary>
/// This test program once more under strace, which tells or changes what the kernel answers; environment variables say
/// which one call it is to make (<see cref="InjectionTarget"/>).
/// </summary>
/// <param name="Folder">What the call is about; strace writes beside it.</param>
/// <param name="Names">Only calls about the folder and these files in it count and fail: the runtime makes system calls
/// of the same kinds.</param>
internal sealed record TracedCall(string Folder, string[] Names, params (string Variable, string Value)[] Environment)
{
    /// <param name="expression">Of strace, <c>trace=…</c> or <c>inject=…</c>.</param>
    /// <returns>What the call came to, <c>done</c> or a reason, and what strace wrote.</returns>
    public async Task<(string Outcome, string Trace)> RunAsync(string expression)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string traceFile = Folder + ".trace";
        ProcessStartInfo start = new("strace")
        {
            RedirectStandardOutput = true,
            ArgumentList = { "-f", "-qq", "-o", traceFile, "-y", "-e", expression, "-P", Folder },
        };
        foreach (string name in Names)
        {
            start.ArgumentList.Add("-P");
            start.ArgumentList.Add($"{Folder}/{name}");
        }

        foreach ((string variable, string value) in Environment)
            start.Environment[variable] = value;
        string self = System.Environment.ProcessPath!;
        start.ArgumentList.Add(self);
        if (Path.GetFileNameWithoutExtension(self) == "dotnet")
            start.ArgumentList.Add(typeof(TracedCall).Assembly.Location);
        using Process process = Process.Start(start)!;
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
