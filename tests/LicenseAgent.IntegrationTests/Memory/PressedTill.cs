using System.Globalization;
using System.Text;
using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.Memory;

/// <summary>
/// The life whose end the memory is searched at: a real agent on a real swtpm, enrolled at a real license server, that
/// has answered ten thousand validations of six hundred tokens, rotated in their midst, and whose collector was made
/// to compact by the runtime's own settings. It stands still while it is searched; then it is stopped, and held at the
/// last line it has to say.
/// </summary>
public sealed class PressedTill : IAsyncLifetime
{
    public const string Name = "pos-001";

    private const int TokensPerVersion = 300, Validations = 10_000;

    // A collection for every 64 KiB allocated, and every full one compacts.
    private static readonly Dictionary<string, string> s_pressure = new()
    {
        ["DOTNET_EnableDiagnostics"] = "0",
        ["DOTNET_GCgen0size"] = "10000",
        ["DOTNET_GCConserveMemory"] = "9",
    };

    private readonly Workplace _place = new();
    private HostedLicenseServer? _server;
    private SwtpmProcess? _tpm;
    private HeldOutput? _output;
    private ChildProcess? _agent;

    internal TillFolder Folder { get; private set; } = null!;

    internal string ServerData => _place.ServerData;

    internal int AgentId => _agent!.Id;

    /// <summary>While it runs and nobody asks it anything.</summary>
    internal Scan Running { get; private set; } = null!;

    /// <summary>After SIGTERM, at its last line.</summary>
    internal Scan Stopped { get; private set; } = null!;

    /// <summary>What the agent said from the moment it was asked to stop.</summary>
    internal string SaidAtStop { get; private set; } = "";

    internal int Answered { get; private set; }

    /// <summary>Where one string that was made at start stood before the validations, and after.</summary>
    internal (IReadOnlyList<ulong> Before, IReadOnlyList<ulong> After) Moved { get; private set; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await HostedLicenseServer.StartAsync(_place, new ServerSettings(), Cancel);
        _tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        Folder = _place.AddTill(Name);
        Folder.WriteConfig(new TillSettings { TpmDevice = _tpm.Device, PosRate = 500_000 });
        _output = new HeldOutput(Path.Combine(Folder.Root, "output"));
        _agent = await ChildProcess.StartAsync(
            "/bin/sh",
            ["-c", "exec \"$0\" --config \"$1\" >\"$2\" 2>&1", ChildProcess.PathOf("license-agent"), Folder.ConfigFile,
                _output.Path],
            s_pressure);
        await Eventually.HoldsAsync(() => _output.Said.Contains("agent_ready", StringComparison.Ordinal),
            "the agent is ready", Cancel);
        IReadOnlyList<Needle> marker = [new Needle("marker", StringObject(Folder.PosSocket))];
        using ManagementClient @operator = new(new ManagementClientOptions { SocketPath = Folder.AdminSocket });
        await @operator.EnrollAsync(new EnrollCall(await _server.AddAgentAsync(Name)), Cancel);
        await NormalAsync(@operator);
        IReadOnlyList<ulong> before = Addresses(Search(marker));
        await ValidateAsync(await TokensAsync());
        RotateOutcome rotated = (await @operator.RotateAsync(Cancel)).Value;
        Assert.Equal("rotated", rotated.Outcome);
        await ValidateAsync(await TokensAsync());
        Moved = (before, Addresses(Search(marker)));
        IReadOnlyList<Needle> needles =
            [.. Needles.Of(ServerData, Name, 1), .. Needles.Of(ServerData, Name, 2), Control()];
        Running = Search(needles);
        await StopAsync(needles);
    }

    public async ValueTask DisposeAsync()
    {
        if (_agent is not null)
            await _agent.DisposeAsync();
        _output?.Dispose();
        if (_tpm is not null)
            await _tpm.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
        _place.Dispose();
    }

    /// <summary>The auth value of the TPM's keys: it is in agent.json and, unprotected, in memory.</summary>
    internal Needle Control()
    {
        using var file = System.Text.Json.JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(Folder.State, "agent.json")));
        return new Needle("auth value", System.Buffers.Text.Base64Url.DecodeFromChars(
            file.RootElement.GetProperty("key_auth").GetString()!));
    }

    private Scan Search(IReadOnlyList<Needle> needles)
    {
        _agent!.Stop();
        try
        {
            return ProcessImage.Search(_agent.Id, needles);
        }
        finally
        {
            _agent.Continue();
        }
    }

    // Its output is full, so the agent waits in write(2) with the last line it says; by then everything it owned is
    // disposed of. What it said besides would show in front of that line.
    private async Task StopAsync(IReadOnlyList<Needle> needles)
    {
        _output!.Fill();
        _agent!.Terminate();
        await Eventually.HoldsAsync(
            () => _output.HasWriterBlocked(_agent.Id), "the agent waits to say its last line", Cancel);
        Stopped = Search(needles);
        SaidAtStop = _output.Drain();
        Assert.Equal(0, await _agent.ExitCodeAsync(Cancel));
        SaidAtStop += _output.Rest();
    }

    private async Task NormalAsync(ManagementClient @operator) => await Eventually.GetAsync<StatusResponse>(
        async () => (await @operator.StatusAsync(Cancel)).Value is { Mode: "NORMAL", PendingSecret: null } status
            ? status
            : null,
        () => _output!.Said, Cancel);

    private async Task<IReadOnlyList<string>> TokensAsync()
    {
        List<string> tokens = [];
        for (int i = 0; i < TokensPerVersion; i++)
            tokens.Add(await _server!.IssueAsync(Name));
        return tokens;
    }

    private async Task ValidateAsync(IReadOnlyList<string> tokens)
    {
        using LicenseAgentClient application = new(new LicenseAgentClientOptions
        {
            SocketPath = Folder.PosSocket,
            VendorKeys = LiveTill.VendorKeys(Folder),
        });
        for (int i = 0; i < Validations / 2; i++)
            Answered += (await application.ValidateAsync(tokens[i % tokens.Count], Cancel)).IsValid ? 1 : 0;
    }

    // The runtime's layout of a string: its length, then its characters, then a zero.
    private static byte[] StringObject(string text) =>
        [.. BitConverter.GetBytes(text.Length), .. Encoding.Unicode.GetBytes(text), 0, 0];

    private static IReadOnlyList<ulong> Addresses(Scan scan) => [.. scan.Found.Select(s => s.Address).Order()];
}
