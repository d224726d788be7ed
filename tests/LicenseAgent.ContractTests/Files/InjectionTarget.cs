using System.Runtime.CompilerServices;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.ContractTests.Files;

/// <summary>
/// What the fault injection tests run in a process of its own under strace: one call on a state directory, whose outcome
/// is printed. A module initializer, so that this test program can be its own target.
/// </summary>
internal static class InjectionTarget
{
    public const string CallVariable = "LICENSE_AGENT_INJECTION_CALL";
    public const string DirectoryVariable = "LICENSE_AGENT_INJECTION_DIRECTORY";

    public static byte[] Content { get; } = "the new content"u8.ToArray();

    [ModuleInitializer]
    internal static void RunIfAsked()
    {
        if (Environment.GetEnvironmentVariable(CallVariable) is { } call)
        {
            Console.Write(Run(call, Environment.GetEnvironmentVariable(DirectoryVariable)!));
            Environment.Exit(0);
        }
    }

    private static string Run(string call, string directory)
    {
        using var files = new StateFiles(directory);
        try
        {
            var done = call switch
            {
                "read" => files.ReadAsync("state.json", CancellationToken.None),
                "write" => files.WriteAsync("state.json.new", Content, CancellationToken.None),
                "replace" => files.ReplaceAsync("state.json", Content, CancellationToken.None),
                "rename" => files.RenameAsync("state.json.bak", "state.json", CancellationToken.None),
                "erase" => files.EraseAsync("state.json", CancellationToken.None),
                _ => throw new ArgumentException($"\"{call}\" is no call."),
            };
            done.GetAwaiter().GetResult();
            return "done";
        }
        catch (StorageException error)
        {
            return error.Reason;
        }
    }
}
