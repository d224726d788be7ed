using LicenseAgent.Client;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.Up;

/// <summary>One till: its TPM emulator, its daemon, the operator's connection, the application's token.</summary>
internal sealed class StageTill(string name, string shop, TillFolder folder) : IAsyncDisposable
{
    private ManagementClient? _operator;
    private TpmProxy? _bus;

    public string Name { get; } = name;

    public string Shop { get; } = shop;

    public TillFolder Folder { get; } = folder;

    public SwtpmProcess Tpm { get; private set; } = null!;

    /// <summary>The socket on which the bus to the TPM is told its faults.</summary>
    public string BusFaults => _bus?.FaultsPath
        ?? throw new InvalidOperationException("Nothing is between the till and its TPM.");

    public AgentProcess Agent { get; private set; } = null!;

    public PosTraffic? Traffic { get; private set; }

    public ManagementClient Operator => _operator
        ??= new ManagementClient(new ManagementClientOptions { SocketPath = Folder.AdminSocket });

    public async Task StartAsync(StageSettings settings, CancellationToken cancel)
    {
        Tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel);
        _bus = settings.WithTpmFaults ? TpmProxy.Start(Tpm) : null;
        Folder.WriteConfig(new TillSettings
        {
            TpmDevice = _bus?.Device ?? Tpm.Device,
            PosRate = settings.PosRate,
            RotationInterval = settings.Server.RotationInterval,
            GracePeriod = settings.Server.GracePeriod,
            CheckInInterval = settings.Server.CheckInInterval,
            ServerTimeout = TimeSpan.FromSeconds(5),
        });
        Agent = await AgentProcess.StartAsync(Folder, cancel);
    }

    public async Task RestartAgentAsync(CancellationToken cancel)
    {
        await Agent.DisposeAsync();
        Agent = await AgentProcess.StartAsync(Folder, cancel);
    }

    public Task EnrollAsync(EnrollmentBundle bundle, CancellationToken cancel) =>
        Operator.EnrollAsync(new EnrollCall(bundle), cancel);

    public async Task<StatusResponse> StatusAsync(CancellationToken cancel) =>
        (await Operator.StatusAsync(cancel)).Value;

    /// <summary>The application: validates its token at a steady rate, whatever the answers take.</summary>
    public PosTraffic StartTraffic(string token, int rate)
    {
        Traffic = new PosTraffic(NewClient(token), rate);
        return Traffic;
    }

    /// <summary>An application that believes this vendor's keys and nothing else.</summary>
    public LicenseAgentClient NewClient(string token) => new(new LicenseAgentClientOptions
    {
        SocketPath = Folder.PosSocket,
        VendorKeys = VendorKeys(),
        TokenStore = new MemoryLicenseTokenStore(token),
    });

    public async ValueTask DisposeAsync()
    {
        if (Traffic is not null)
        {
            await Traffic.DisposeAsync();
        }

        _operator?.Dispose();
        if (Agent is not null)
        {
            await Agent.DisposeAsync();
        }

        if (_bus is not null)
        {
            await _bus.DisposeAsync();
        }

        if (Tpm is not null)
        {
            await Tpm.DisposeAsync();
        }
    }

    // An application has them compiled in; here they are read from the keyset the till was enrolled with.
    private IReadOnlyList<EcPublicJwk> VendorKeys() =>
    [
        .. KeysetChain.Read(File.ReadAllBytes(Path.Combine(Folder.State, "keysets.json")))[^1]
            .Keyset.Keys.Where(k => k.May(KeyScopes.License)).Select(k => k.PublicKey),
    ];
}
