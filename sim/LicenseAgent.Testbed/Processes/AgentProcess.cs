namespace LicenseAgent.Testbed.Processes;

/// <summary>The daemon, as its own process on a till's folder.</summary>
public sealed class AgentProcess : IAsyncDisposable
{
    /// <summary>Names another daemon than the one built with the tests, for example the published one.</summary>
    public const string ProgramVariable = "LICENSE_AGENT_PROGRAM";

    private readonly ChildProcess _process;

    private AgentProcess(ChildProcess process, TillFolder till) => (_process, Till) = (process, till);

    public TillFolder Till { get; }

    public ChildProcess Process => _process;

    private static string Program =>
        Environment.GetEnvironmentVariable(ProgramVariable) is { Length: > 0 } named
            ? named : ChildProcess.PathOf("license-agent");

    /// <summary>Starts it; returns when it has said that it is ready, whatever its mode.</summary>
    /// <param name="under">A program with its arguments that becomes the daemon, with the same process id.</param>
    public static async Task<AgentProcess> StartAsync(
        TillFolder till, CancellationToken cancel, IReadOnlyDictionary<string, string>? environment = null,
        IReadOnlyList<string>? under = null)
    {
        Dictionary<string, string> variables = new(RuntimeVariables.OfAService);
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            variables[name] = value;
        }

        string[] words = [.. under ?? [], Program, "--config", till.ConfigFile];
        ChildProcess process = await ChildProcess.StartAsync(words[0], words[1..], variables);
        AgentProcess agent = new(process, till);
        try
        {
            await process.WaitForLineAsync("agent_ready", cancel);
            return agent;
        }
        catch (Exception)
        {
            await agent.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
