using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tpm;
using LicensePki;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// One till with everything it needs: the real license server on a TLS port of this process, swtpm and the daemon as
/// processes, a tap between the two. All of it is gone on dispose.
/// </summary>
internal sealed class LiveTill : IAsyncDisposable
{
    public const string Name = "pos-001";

    private readonly Workplace _place = new();
    private readonly CancellationToken _cancel;
    private EnrollmentBundle? _bundle;
    private ManagementClient? _operator;

    private LiveTill(CancellationToken cancel)
    {
        _cancel = cancel;
        Folder = _place.AddTill(Name);
    }

    public TillFolder Folder { get; }

    public DevTree Pki => _place.Pki;

    public string ServerData => _place.ServerData;

    public HostedLicenseServer Server { get; private set; } = null!;

    public SwtpmProcess Tpm { get; private set; } = null!;

    public TpmProxy Bus { get; private set; } = null!;

    public AgentProcess Agent { get; private set; } = null!;

    /// <summary>What its configuration was written from.</summary>
    public TillSettings Settings { get; private set; } = null!;

    public ManagementClient Operator => _operator
        ?? throw new InvalidOperationException("The agent does not run.");

    /// <summary>Everything is up, the agent not enrolled.</summary>
    /// <param name="checkIn">Left at 15 minutes, nothing but what the test asks for happens on the bus.</param>
    /// <param name="settings">What else the server gives its tills; its grace period is the till's own too.</param>
    /// <param name="software">Software keys may take the place of a lost TPM.</param>
    public static async Task<LiveTill> StartAsync(
        CancellationToken cancel, TimeSpan? checkIn = null, ServerSettings? settings = null,
        Func<TillSettings, TillSettings>? shape = null, bool software = false)
    {
        LiveTill till = new(cancel);
        try
        {
            ServerSettings intervals = settings ?? new ServerSettings();
            intervals = intervals with { CheckInInterval = checkIn ?? intervals.CheckInInterval };
            till.Server = await HostedLicenseServer.StartAsync(till._place, intervals, cancel);
            till.Tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel);
            till.Bus = TpmProxy.Start(till.Tpm);
            till.Settings = new TillSettings
            {
                TpmDevice = till.Bus.Device,
                CheckInInterval = intervals.CheckInInterval,
                GracePeriod = intervals.GracePeriod,
                ServerTimeout = TimeSpan.FromSeconds(10),
                Tpm = software ? till.AllowSoftware() : "",
            };
            till.Settings = shape?.Invoke(till.Settings) ?? till.Settings;
            till.Folder.WriteConfig(till.Settings);
            await till.StartAgentAsync();
            return till;
        }
        catch (Exception)
        {
            await till.DisposeAsync();
            throw;
        }
    }

    public string KeyFile => Path.Combine(Folder.Root, "fallback.key");

    private string AllowSoftware()
    {
        File.WriteAllBytes(KeyFile, System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        return $"fallback = \"on_loss\"\nfallback_key_file = \"{KeyFile}\"";
    }

    public static async Task<LiveTill> StartEnrolledAsync(
        CancellationToken cancel, TimeSpan? checkIn = null, ServerSettings? settings = null,
        Func<TillSettings, TillSettings>? shape = null)
    {
        LiveTill till = await StartAsync(cancel, checkIn, settings, shape);
        try
        {
            await till.EnrolAsync();
            await till.AgreementAsync();
            return till;
        }
        catch (Exception)
        {
            await till.DisposeAsync();
            throw;
        }
    }

    /// <summary>Carries the bundle over; the same one when it is done again.</summary>
    public async Task EnrolAsync()
    {
        _bundle ??= await Server.AddAgentAsync(Name);
        await Operator.EnrollAsync(new EnrollCall(_bundle), _cancel);
    }

    /// <param name="environment">For example a <see cref="FakeClock"/>.</param>
    /// <param name="under">A program that starts it, with its arguments.</param>
    public async Task StartAgentAsync(
        IReadOnlyDictionary<string, string>? environment = null, params string[] under)
    {
        Agent = await AgentProcess.StartAsync(Folder, _cancel, environment, under);

        // Connections of a client end with the agent they were made to.
        _operator?.Dispose();
        _operator = new ManagementClient(new ManagementClientOptions { SocketPath = Folder.AdminSocket });
    }

    /// <summary>SIGKILL; returns when the process is gone.</summary>
    public Task KillAgentAsync() => Agent.Process.KillAsync();

    /// <summary>SIGTERM; returns when the process is gone.</summary>
    public Task<int> StopAgentAsync() => Agent.Process.TerminateAsync(_cancel);

    /// <summary>What the next start reads.</summary>
    public void Reconfigure(Func<TillSettings, TillSettings> change)
    {
        Settings = change(Settings);
        Folder.WriteConfig(Settings);
    }

    /// <summary>By the documented derivation and the key file alone, with no code of agent or server.</summary>
    public byte[] SecretByTheServersKeyFile(long version)
    {
        using JsonDocument file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(ServerData, "keys.json")));
        string key = file.RootElement.GetProperty("base_keys").EnumerateArray().Single().GetProperty("key").GetString()!;
        byte[] baseKey = Convert.FromBase64String(key.Replace('-', '+').Replace('_', '/') + "=");
        string purpose = string.Create(CultureInfo.InvariantCulture, $"license-agent/secret/{Name}/{version}");
        return HKDF.DeriveKey(HashAlgorithmName.SHA256, baseKey, 32, [], Encoding.ASCII.GetBytes(purpose));
    }

    public async Task RestartAgentAsync(
        IReadOnlyDictionary<string, string>? environment = null, params string[] under)
    {
        await Agent.DisposeAsync();
        await StartAgentAsync(environment, under);
    }

    public async Task<StatusResponse> StatusAsync() => (await Operator.StatusAsync(_cancel)).Value;

    /// <summary>Waits until agent and server say the same: NORMAL, one ACTIVE, no PENDING on either side.</summary>
    public async Task<TillBooks> AgreementAsync()
    {
        TillBooks? last = null;
        StatusResponse? status = null;
        return await Eventually.GetAsync(
            async () =>
            {
                status = await StatusAsync();
                if (status is not { Mode: "NORMAL", PendingSecret: null })
                {
                    return null;
                }

                last = Read();
                return last.Agree ? last : null;
            },
            () => $"mode {status?.Mode} {status?.LockReason}, {last}\n{Agent.Process.Said}",
            _cancel);
    }

    /// <summary>The state files as they lie on disk now, and the server's database.</summary>
    public TillBooks Read() => TillBooks.Read(Folder.State, Server.Books(Name));

    public async Task<LicenseValidation> ValidateAsync(string token)
    {
        using LicenseAgentClient application = new(new LicenseAgentClientOptions
        {
            SocketPath = Folder.PosSocket,
            VendorKeys = VendorKeys(Folder),
            Timeout = TimeSpan.FromSeconds(30),
        });
        return await application.ValidateAsync(token, _cancel);
    }

    public async Task<LicenseRenewal> RenewAsync(string token)
    {
        using LicenseAgentClient application = new(new LicenseAgentClientOptions
        {
            SocketPath = Folder.PosSocket,
            VendorKeys = VendorKeys(Folder),
        });
        return await application.RenewAsync(token, _cancel);
    }

    public async ValueTask DisposeAsync()
    {
        _operator?.Dispose();
        if (Agent is not null)
        {
            await Agent.DisposeAsync();
        }

        if (Server is not null)
        {
            await Server.DisposeAsync();
        }

        if (Bus is not null)
        {
            await Bus.DisposeAsync();
        }

        if (Tpm is not null)
        {
            await Tpm.DisposeAsync();
        }

        _place.Dispose();
    }

    /// <summary>Of the newest keyset the till has.</summary>
    public static IReadOnlyList<EcPublicJwk> VendorKeys(TillFolder folder) =>
    [
        .. KeysetChain.Read(File.ReadAllBytes(Path.Combine(folder.State, "keysets.json")))[^1]
            .Keyset.Keys.Where(k => k.May(KeyScopes.License)).Select(k => k.PublicKey),
    ];
}
