using System.Globalization;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>
/// A till of real processes with a tap at each of its boundaries: the license server's requests, the TPM bus, and the
/// daemon's own threads for strace. Begins on a fresh workplace or on a copy of a prepared one.
/// </summary>
internal sealed class SweepTill : IAsyncDisposable
{
    public const string Name = "pos-001";

    private const string TpmFolder = "tpm";
    private const int QuietPolls = 4;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(50);

    private readonly Workplace _place;
    private ManagementClient? _operator;
    private AgentProcess? _agent;
    private EnrollmentBundle? _bundle;

    private SweepTill(Workplace place)
    {
        _place = place;
        Folder = place.AddTill(Name);
    }

    public TillFolder Folder { get; }

    public HostedLicenseServer Server { get; private set; } = null!;

    public SwtpmProcess Tpm { get; private set; } = null!;

    public TpmProxy Bus { get; private set; } = null!;

    /// <summary>One under each version, from 1.</summary>
    public IReadOnlyList<string> Tokens { get; set; } = [];

    /// <summary>Validations that were answered, whatever with.</summary>
    public int Answered { get; private set; }

    /// <summary>From now on the daemon is started under a boot clock that is so far ahead.</summary>
    public TimeSpan Ahead { get; set; }

    public AgentProcess Agent => _agent ?? throw new InvalidOperationException("The agent does not run.");

    public ManagementClient Operator => _operator ?? throw new InvalidOperationException("The agent does not run.");

    /// <summary>Everything is up but the agent.</summary>
    /// <param name="place">Becomes the till's own and is gone on dispose.</param>
    public static async Task<SweepTill> OpenAsync(
        Workplace place, Scenario scenario, IReadOnlyList<string> tokens, CancellationToken cancel)
    {
        SweepTill till = new(place) { Tokens = tokens };
        try
        {
            till.Server = await HostedLicenseServer.StartAsync(place, new ServerSettings(), cancel);
            string memory = Path.Combine(place.Root, TpmFolder);
            till.Tpm = await SwtpmProcess.StartAsync(
                SwtpmListen.Unix, cancel, Directory.Exists(memory) ? memory : null);
            till.Bus = TpmProxy.Start(till.Tpm);
            till.Folder.WriteConfig(scenario.Shape(new TillSettings
            {
                TpmDevice = till.Bus.Device,
                ServerUrl = till.Server.Url,
                ServerTimeout = TimeSpan.FromSeconds(10),
            }));
            return till;
        }
        catch (Exception)
        {
            await till.DisposeAsync();
            throw;
        }
    }

    public async Task StartAgentAsync(CancellationToken cancel)
    {
        // Given up before it is ended: a start that fails must not leave one to be ended twice.
        AgentProcess? before = _agent;
        _agent = null;
        if (before is not null)
            await before.DisposeAsync();
        _operator?.Dispose();
        string seconds = Ahead.TotalSeconds.ToString("0", CultureInfo.InvariantCulture);
        _agent = await AgentProcess.StartAsync(
            Folder, cancel, under: Ahead == default ? null : ["unshare", "--time", "--boottime", seconds]);
        _operator = new ManagementClient(new ManagementClientOptions { SocketPath = Folder.AdminSocket });
    }

    /// <summary>Carries the bundle over; the same one when it is done again.</summary>
    public async Task EnrolAsync(CancellationToken cancel)
    {
        _bundle ??= await Server.AddAgentAsync(Name);
        await Operator.EnrollAsync(new EnrollCall(_bundle), cancel);
    }

    public async Task<StatusResponse> StatusAsync(CancellationToken cancel) =>
        (await Operator.StatusAsync(cancel)).Value;

    /// <summary>The state files as they lie on disk now, and the server's database.</summary>
    public Books Read() => Books.Read(Folder.State, Server.Books(Name));

    /// <summary>Waits until agent and server say the same and nothing moves on the bus.</summary>
    /// <param name="active">The version both must have come to, if one is wanted.</param>
    public async Task<Books> AgreementAsync(CancellationToken cancel, long? active = null)
    {
        Books? last = null;
        StatusResponse? status = null;
        await UntilAsync(
            async () =>
            {
                status = await StatusAsync(cancel);
                if (status is not { Mode: "NORMAL", PendingSecret: null })
                    return false;
                last = Read();
                return last.Agree && (active is null || last.Active == active);
            },
            () => $"mode {status?.Mode} {status?.LockReason} {status?.TpmStatus.State}, {last}", cancel);
        await QuietAsync(cancel);
        return Read();
    }

    /// <summary>Waits until the bus has been still for a moment: what began at the start is over.</summary>
    public async Task QuietAsync(CancellationToken cancel)
    {
        int seen = -1, still = 0;
        await UntilAsync(
            () =>
            {
                int now = Bus.Recording.Exchanges.Count;
                still = now == seen ? still + 1 : 0;
                seen = now;
                return Task.FromResult(still >= QuietPolls);
            },
            () => "the TPM bus never came to rest", cancel);
    }

    public async Task<LicenseValidation> ValidateAsync(string token, CancellationToken cancel)
    {
        using LicenseAgentClient application = Connect();
        LicenseValidation answer = await application.ValidateAsync(token, cancel);
        Answered++;
        return answer;
    }

    /// <summary>Validates the first token again and again, until something is true or it was done so often.</summary>
    public async Task ValidateUntilAsync(Func<bool> holds, int times, CancellationToken cancel)
    {
        using LicenseAgentClient application = Connect();
        for (int i = 0; i < times && !holds(); i++)
        {
            await application.ValidateAsync(Tokens[0], cancel);
            Answered++;
        }
    }

    /// <summary>A token under the version the server mints with.</summary>
    public async Task<string> IssueAsync(CancellationToken cancel)
    {
        string? token = null;
        await UntilAsync(
            async () =>
            {
                try
                {
                    token = await Server.IssueAsync(Name);
                    return true;
                }
                catch (LicenseServer.Agents.OrderRefusedException)
                {
                    // The server mints when a check-in has named the version held.
                    return false;
                }
            },
            () => "the server never minted a license", cancel);
        return token!;
    }

    /// <summary>Ends everything in order and leaves the workplace, with the TPM's memory in it, to be copied.</summary>
    public async Task<Workplace> FreezeAsync(CancellationToken cancel)
    {
        if (_agent is not null)
            await _agent.Process.TerminateAsync(cancel);
        await StopAsync(save: true);
        return _place;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(save: false);
        _place.Dispose();
    }

    /// <summary>Waits for something that processes do in their own time, with a limit.</summary>
    public static async Task UntilAsync(Func<Task<bool>> holds, Func<string> missing, CancellationToken cancel)
    {
        long start = TimeProvider.System.GetTimestamp();
        using PeriodicTimer turn = new(s_poll);
        while (!await holds())
        {
            if (TimeProvider.System.GetElapsedTime(start) > s_limit)
                throw new TimeoutException($"It did not happen within {s_limit.TotalSeconds:0} s: {missing()}");
            await turn.WaitForNextTickAsync(cancel);
        }
    }

    private async Task StopAsync(bool save)
    {
        _operator?.Dispose();
        if (_agent is not null)
            await _agent.DisposeAsync();
        if (Server is not null)
            await Server.DisposeAsync();
        if (Bus is not null)
            await Bus.DisposeAsync();
        if (Tpm is null)
            return;
        await Tpm.KillAsync();
        if (save)
            Tpm.SaveState(Path.Combine(_place.Root, TpmFolder));
        await Tpm.DisposeAsync();
    }

    private LicenseAgentClient Connect() => new(new LicenseAgentClientOptions
    {
        SocketPath = Folder.PosSocket,
        VendorKeys = VendorKeys(),
        Timeout = TimeSpan.FromSeconds(30),
    });

    private IReadOnlyList<EcPublicJwk> VendorKeys() =>
    [
        .. KeysetChain.Read(File.ReadAllBytes(Path.Combine(Folder.State, "keysets.json")))[^1]
            .Keyset.Keys.Where(k => k.May(KeyScopes.License)).Select(k => k.PublicKey),
    ];
}
