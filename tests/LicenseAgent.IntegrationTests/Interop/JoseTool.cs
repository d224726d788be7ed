using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LicenseAgent.IntegrationTests.Interop;

/// <summary>npm's jose, one process an operation: <c>tests/interop/jose.mjs</c>.</summary>
internal static class JoseTool
{
    private static readonly string Folder = Path.Combine(Root(), "tests", "interop");

    /// <returns>What the operation answered.</returns>
    /// <exception cref="JoseRefusedException">jose refused.</exception>
    public static async Task<JsonElement> RunAsync(string operation, JsonNode? input, CancellationToken cancel)
    {
        if (!Directory.Exists(Path.Combine(Folder, "node_modules")))
            throw new InvalidOperationException($"jose is not installed: run {Folder}/install");
        var start = new ProcessStartInfo("node", ["jose.mjs", operation])
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process node = Process.Start(start)!;
        Task<string> said = node.StandardError.ReadToEndAsync(cancel);
        await node.StandardInput.WriteAsync(input?.ToJsonString().AsMemory() ?? default, cancel);
        node.StandardInput.Close();
        string answer = await node.StandardOutput.ReadToEndAsync(cancel);
        await node.WaitForExitAsync(cancel);
        return node.ExitCode == 0
            ? JsonDocument.Parse(answer).RootElement
            : throw new JoseRefusedException(await said);
    }

    public static async Task<string> TextAsync(string operation, JsonNode input, CancellationToken cancel) =>
        (await RunAsync(operation, input, cancel)).GetString()!;

    private static string Root()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "LicenseAgent.sln")))
                return at.FullName;
        }
        throw new DirectoryNotFoundException($"No LicenseAgent.sln above {AppContext.BaseDirectory}.");
    }
}

internal sealed class JoseRefusedException(string said) : Exception(said);
