using System.Diagnostics;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>The tpm2-tools: another implementation's view of the same TPM.</summary>
internal sealed class TpmTools(string tcti) : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("lsa-tpm2-tools-").FullName;

    public string PathOf(string name) => Path.Combine(_directory, name);

    /// <summary>Runs a tool that has to succeed and returns what it printed.</summary>
    public async Task<string> RunAsync(string tool, params string[] arguments)
    {
        var (exit, output) = await TryAsync(tool, arguments);
        Assert.True(exit == 0, $"{tool} {string.Join(' ', arguments)} exited {exit}: {output}");
        return output;
    }

    public async Task<(int Exit, string Output)> TryAsync(string tool, params string[] arguments)
    {
        var start = new ProcessStartInfo(tool)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _directory,
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        start.Environment["TPM2TOOLS_TCTI"] = tcti;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output + await error);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
