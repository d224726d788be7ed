using System.CommandLine;
using System.Reflection;
using System.Text;

namespace LicenseAgent.Cli.Commands;

/// <summary>Of this program, without asking the agent; <c>status</c> shows the agent's.</summary>
internal static class VersionCommand
{
    private static readonly string Version =
        typeof(VersionCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
            .InformationalVersion;

    public static Command Create(AgentCalls calls)
    {
        var command = new Command("version", "The version of this program; `status` shows the agent's");
        command.SetAction(parsed =>
        {
            if (calls.IsJson(parsed))
                calls.Context.Screen.Answer(Encoding.UTF8.GetBytes($$"""{"version":"{{Version}}"}"""));
            else
                calls.Context.Screen.Line($"license-agent-cli {Version}");
            return ExitCodes.Ok;
        });
        return command;
    }
}
