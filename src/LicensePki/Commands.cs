using System.CommandLine;

namespace LicensePki;

/// <summary>The verbs of <c>license-pki</c>. Exit codes: 0 ok, 1 findings, 2 usage, 5 the work could not be
/// done.</summary>
internal static class Commands
{
    private const int Ok = 0;
    private const int Findings = 1;
    private const int Usage = 2;
    private const int Failed = 5;

    public static int Run(string[] args, TimeProvider time, TextWriter output, TextWriter error)
    {
        var root = new RootCommand("Certificates of the license server and its agents") { Dev(time), Verify(time) };
        var parsed = root.Parse(args);
        var configuration = new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
        };
        try
        {
            var exit = parsed.Invoke(configuration);
            // The library answers usage errors with 1, which here means "findings".
            return parsed.Errors.Count > 0 ? Usage : exit;
        }
        catch (Exception failure) when (failure is PkiException or IOException or UnauthorizedAccessException)
        {
            error.WriteLine("license-pki: " + failure.Message);
            return Failed;
        }
    }

    private static Command Dev(TimeProvider time)
    {
        var directory = new Argument<string>("directory") { Description = "where the tree is written" };
        var names = new Option<string[]>("--name")
        {
            Description = "a further DNS name or address of the license server (repeatable)",
        };
        var agents = new Option<string[]>("--agent")
        {
            Description = "an agent that gets a client certificate at once (repeatable)",
        };
        var command = new Command("dev", "Write a whole tree for the testbed") { directory, names, agents };
        command.SetAction(parsed =>
        {
            var options = new DevTreeOptions
            {
                ServerNames = parsed.GetValue(names) ?? [],
                AgentIds = parsed.GetValue(agents) ?? [],
            };
            var tree = DevTree.Create(parsed.GetRequiredValue(directory), options, time);
            parsed.InvocationConfiguration.Output.WriteLine("wrote " + tree.Root);
            return Ok;
        });
        return command;
    }

    private static Command Verify(TimeProvider time)
    {
        var directory = new Argument<string>("directory") { Description = "a tree that license-pki wrote" };
        var command = new Command("verify", "Check a tree; print what is wrong with it") { directory };
        command.SetAction(parsed =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var findings = TreeVerification.Verify(parsed.GetRequiredValue(directory), time);
            foreach (var finding in findings) output.WriteLine($"{finding.Path}: {finding.Fact}");
            if (findings.Count == 0) output.WriteLine("ok");
            return findings.Count == 0 ? Ok : Findings;
        });
        return command;
    }
}
