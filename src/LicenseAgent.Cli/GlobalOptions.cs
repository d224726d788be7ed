using System.CommandLine;
using LicenseAgent.Client;

namespace LicenseAgent.Cli;

/// <summary>Options of every command.</summary>
internal sealed class GlobalOptions
{
    public Option<string> Socket { get; } = new("--socket")
    {
        Description = "The agent's management socket",
        HelpName = "PATH",
        Recursive = true,
        DefaultValueFactory = _ => ManagementClientOptions.DefaultSocketPath,
    };

    public Option<bool> Json { get; } = new("--json")
    {
        Description = "Print the agent's answer exactly as it came",
        Recursive = true,
    };

    public Option<string?> AuthCert { get; } = new("--auth-cert")
    {
        Description = "Sign in with this certificate (PEM); the file may hold its key as well",
        HelpName = "FILE",
        Recursive = true,
    };

    public Option<string?> AuthKey { get; } = new("--auth-key")
    {
        Description = "The key of --auth-cert (PEM, not encrypted)",
        HelpName = "FILE",
        Recursive = true,
    };
}
