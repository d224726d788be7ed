using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Client;

namespace LicenseAgent.Cli;

/// <summary>Asks the agent something; what most commands are.</summary>
internal delegate Task<ManagementAnswer<T>> Ask<T>(
    ManagementClient client, ParseResult parsed, CancellationToken cancel);

/// <summary>Runs a command's call: asks, prints the answer in the form wanted, gives the exit code.</summary>
internal sealed class AgentCalls(CliContext context, GlobalOptions globals)
{
    public CliContext Context => context;

    public bool IsJson(ParseResult parsed) => parsed.GetValue(globals.Json);

    /// <param name="show">Prints it for people.</param>
    /// <param name="exit">Ok without.</param>
    public Command Bind<T>(Command command, Ask<T> ask, Action<Screen, T> show, Func<T, int>? exit = null)
    {
        command.SetAction(async (parsed, cancel) =>
        {
            using ManagementClient client = Connect(parsed);
            ManagementAnswer<T> answer = await ask(client, parsed, cancel);
            if (IsJson(parsed))
                context.Screen.Answer(answer.Utf8);
            else
                show(context.Screen, answer.Value);
            return exit?.Invoke(answer.Value) ?? ExitCodes.Ok;
        });
        return command;
    }

    public ManagementClient Connect(ParseResult parsed)
    {
        string path = RequireSocketPath(parsed.GetValue(globals.Socket)!, "--socket");
        return new ManagementClient(new ManagementClientOptions
        {
            SocketPath = path,
            Credentials = AuthFiles.Read(parsed.GetValue(globals.AuthCert), parsed.GetValue(globals.AuthKey), context),
        });
    }

    public static string RequireSocketPath(string path, string option)
    {
        try
        {
            return UnixSocketHttp.RequirePath(path);
        }
        catch (ArgumentException e)
        {
            throw new UsageException($"{option}: {e.Message}");
        }
    }
}
