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
}
