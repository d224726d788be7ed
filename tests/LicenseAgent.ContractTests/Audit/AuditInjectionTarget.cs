using System.Runtime.CompilerServices;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.ContractTests.Audit;

/// <summary>
/// What the fault tests of the audit file run in a process of its own under strace: one call, whose outcome is printed.
/// A module initializer, so that this test program can be its own target.
/// </summary>
internal static class AuditInjectionTarget
{
    public const string CallVariable = "LICENSE_AGENT_AUDIT_INJECTION_CALL";
    public const string PathVariable = "LICENSE_AGENT_AUDIT_INJECTION_PATH";

    [ModuleInitializer]
    internal static void RunIfAsked()
    {
        if (Environment.GetEnvironmentVariable(CallVariable) is { } call)
        {
            Console.Write(Run(call, Environment.GetEnvironmentVariable(PathVariable)!));
            Environment.Exit(0);
        }
    }

    private static string Run(string call, string path)
    {
        using var file = new AuditFile(path);
        try
        {
            file.Append("one\ntwo\n"u8);
            Task done = call switch
            {
                "sync" => file.SyncAsync(),
                "cut" => file.CutAsync(4, rewrite: false),
                "rewrite" => file.CutAsync(4, rewrite: true),
                "close" => file.CloseAsync("chain-x.log"),
                "remove" => CloseThenMove(file, null),
                "move" => CloseThenMove(file, "chain-x.log"),
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

    // Waits here: until a module's initializer has returned, other threads cannot run its code, continuations included.
    private static Task CloseThenMove(AuditFile file, string? to)
    {
        file.SyncAsync().GetAwaiter().GetResult();
        file.CloseAsync("audit-1.log").GetAwaiter().GetResult();
        return file.MoveAsync("audit-1.log", to);
    }
}
