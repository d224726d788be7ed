using System.Globalization;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Net;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tills;
using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>What a stage begins with that others do not; 0: as everywhere else.</summary>
/// <param name="DiskMiB">State and log on a file system of their own of this size.</param>
/// <param name="SegmentKiB">Size of a file of the audit log.</param>
/// <param name="Kept">The kept state of this file format instead of a till enrolled anew; there is no server then.</param>
/// <param name="WithBus">Between till and TPM is a bus that is told its faults.</param>
internal sealed record StageSettings(int DiskMiB, int SegmentKiB, int Kept, bool WithFaults, bool WithBus);

/// <summary>
/// One enrolled till of real processes with a network between it and the license server, and what can be done to each.
/// </summary>
internal sealed class Stage : IAsyncDisposable
{
    private const string Name = "pos-001";
    private static readonly TimeSpan s_enrolMax = TimeSpan.FromSeconds(90), s_poll = TimeSpan.FromMilliseconds(100);

    private readonly Workplace _place = new();
    private readonly TillFolder _folder;
    private readonly ManagementClient _operator;
    private LicenseServerProcess? _server;
    private ByteProxy? _network;
    private SwtpmProcess? _tpm;
    private TpmProxy? _bus;
    private AgentProcess? _agent;
    private TillSettings? _settings;
    private Twin? _twin;
    private bool _hasDisk;

    private Stage()
    {
        _folder = _place.AddTill(Name);
        _operator = new ManagementClient(new ManagementClientOptions { SocketPath = _folder.AdminSocket });
    }

    public TillFolder Folder => _folder;

    public ManagementClient Operator => _operator;

    public SwtpmProcess Tpm => _tpm ?? throw new InvalidOperationException("The TPM does not run.");

    public AgentProcess Agent => _agent ?? throw new InvalidOperationException("The agent does not run.");

    public LicenseServerProcess Server => _server ?? throw new InvalidOperationException("The server does not run.");

    public ByteProxy Network => _network ?? throw new InvalidOperationException("There is no network.");

    /// <summary>The socket on which the bus to the TPM is told its faults.</summary>
    public string BusFaults => _bus?.FaultsPath
        ?? throw new InvalidOperationException("Nothing is between the till and its TPM.");

    public Twin Twin => _twin ?? throw new InvalidOperationException("There is no twin.");

    public string Token { get; private set; } = "";

    public static async Task<Stage> OpenAsync(StageSettings settings, CancellationToken cancel)
    {
        Stage stage = new();
        try
        {
            if (settings.DiskMiB > 0)
                await stage.MountAsync(settings.DiskMiB, cancel);
            if (settings.Kept > 0)
                await stage.OpenKeptAsync(settings.Kept, cancel);
            else
                await stage.OpenNewAsync(settings, cancel);
            return stage;
        }
        catch (Exception)
        {
            await stage.DisposeAsync();
            throw;
        }
    }

    /// <param name="clock">What libfaketime makes of the wall clock, as its FAKETIME says it.</param>
    public async Task StartAgentAsync(string? clock, CancellationToken cancel)
    {
        // Given up before it is ended: a start that fails must not leave one to be ended twice.
        AgentProcess? before = _agent;
        _agent = null;
        if (before is not null)
            await before.DisposeAsync();
        _agent = await AgentProcess.StartAsync(_folder, cancel, clock is null ? null : FakeClock.At(clock));
    }

    public async Task<StatusResponse?> TryStatusAsync(CancellationToken cancel)
    {
        try
        {
            return (await _operator.StatusAsync(cancel)).Value;
        }
        catch (AgentException)
        {
            // Nobody answers at the moment; who asks waits or says so.
            return null;
        }
    }

    public LicenseAgentClient Connect()
    {
        IReadOnlyList<EcPublicJwk> vendor =
        [
            .. KeysetChain.Read(File.ReadAllBytes(Path.Combine(_folder.State, "keysets.json")))[^1]
                .Keyset.Keys.Where(k => k.May(KeyScopes.License)).Select(k => k.PublicKey),
        ];
        return new LicenseAgentClient(new LicenseAgentClientOptions
        {
            SocketPath = _folder.PosSocket,
            VendorKeys = vendor,
            Timeout = TimeSpan.FromSeconds(5),
        });
    }

    /// <summary>Copies what a person could copy: <c>state</c>, <c>tpm</c>.</summary>
    public void Save(string what, string name)
    {
        if (what == "tpm")
            Tpm.SaveState(Kept(what, name));
        else
            Workplace.CopyTree(_folder.State, Kept(what, name));
    }

    public async Task RestoreAsync(string what, string name, CancellationToken cancel)
    {
        if (what == "tpm")
        {
            await Tpm.RestoreStateAsync(Kept(what, name), cancel);
            return;
        }

        Directory.Delete(_folder.State, recursive: true);
        Workplace.CopyTree(Kept(what, name), _folder.State);
    }

    /// <summary>Another TPM at the same address: the disk in another machine.</summary>
    public async Task ReplaceTpmAsync(CancellationToken cancel)
    {
        await using SwtpmProcess other = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel);
        other.SaveState(Kept("tpm", "other"));
        await Tpm.RestoreStateAsync(Kept("tpm", "other"), cancel);
    }

    /// <summary>
    /// <c>disk</c>: a second machine with a copy of the disk; <c>machine</c>: with the memory of the TPM too;
    /// <c>gone</c>.
    /// </summary>
    public async Task TwinAsync(string what, CancellationToken cancel)
    {
        Twin? before = _twin;
        _twin = null;
        if (before is not null)
            await before.DisposeAsync();
        if (what == "gone")
            return;
        TillFolder folder = _place.AddTill($"twin-{what}");

        // A copy of one moment, as a snapshot of a disk is.
        Agent.Process.Stop();
        Workplace.CopyTree(_folder.State, folder.State);
        Workplace.CopyTree(_folder.Logs, folder.Logs);
        if (what == "machine")
            Tpm.SaveState(Kept("tpm", "twin"));
        Agent.Process.Continue();
        _twin = await Twin.StartAsync(folder, _settings!, what == "machine" ? Kept("tpm", "twin") : null, cancel);
    }

    /// <summary>An operator of the server has looked, and decides that there is one machine.</summary>
    public Task ApproveAsync(CancellationToken cancel) => Server.CommandAsync(cancel, "agents", "approve-recovery", Name);

    public void FillDisk()
    {
        using FileStream filler = new(Filler, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        byte[] block = new byte[4096];
        try
        {
            while (true)
                filler.Write(block);
        }
        catch (IOException)
        {
            // Full: what was wanted.
        }
    }

    public void FreeDisk() => File.Delete(Filler);

    public async ValueTask DisposeAsync()
    {
        _operator.Dispose();
        if (_twin is not null)
            await _twin.DisposeAsync();
        if (_agent is not null)
            await _agent.DisposeAsync();
        if (_network is not null)
            await _network.DisposeAsync();
        if (_bus is not null)
            await _bus.DisposeAsync();
        if (_tpm is not null)
            await _tpm.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
        if (_hasDisk)
            await RunAsync("umount", [_folder.Root], CancellationToken.None);
        _place.Dispose();
    }

    private string Filler => Path.Combine(_folder.Root, "filler");

    private string Kept(string what, string name) => Path.Combine(_place.Root, $"kept-{what}-{name}");

    private async Task OpenNewAsync(StageSettings settings, CancellationToken cancel)
    {
        ServerSettings intervals = new()
        {
            CheckInInterval = TimeSpan.FromSeconds(2),
            WithFaults = settings.WithFaults,
        };
        _server = await LicenseServerProcess.StartAsync(_place, intervals, cancel);
        _network = ByteProxy.Start(_server.Port);
        _tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel);
        _bus = settings.WithBus ? TpmProxy.Start(_tpm) : null;
        TillSettings own = new()
        {
            TpmDevice = _bus?.Device ?? _tpm.Device,
            PosRate = 10_000,
            CheckInInterval = intervals.CheckInInterval,
            ServerTimeout = TimeSpan.FromSeconds(8),
            OfflineAfter = TimeSpan.FromSeconds(10),
            ServerUrl = string.Create(CultureInfo.InvariantCulture, $"https://localhost:{_network.Port}"),
        };
        _settings = settings.SegmentKiB > 0 ? own with { AuditSegmentBytes = settings.SegmentKiB * 1024L } : own;
        _folder.WriteConfig(_settings);
        await StartAgentAsync(null, cancel);
        await EnrolAsync(cancel);
    }

    private async Task OpenKeptAsync(int format, CancellationToken cancel)
    {
        FormatFolder kept = new(format);
        kept.CopyTo(_folder);
        _tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel, kept.Tpm);
        _settings = new TillSettings { TpmDevice = _tpm.Device, GracePeriod = FormatFolder.Grace, PosRate = 10_000 };
        _folder.WriteConfig(_settings);
        Token = kept.ActiveToken;
        await StartAgentAsync(null, cancel);
    }

    private async Task EnrolAsync(CancellationToken cancel)
    {
        string file = Path.Combine(_place.Root, "bundle.json");
        await Server.CommandAsync(cancel, "agents", "add", Name, "--out", file);
        EnrollmentBundle bundle = StrictJson.Read(
            await File.ReadAllBytesAsync(file, cancel), BundleJsonContext.Wire.EnrollmentBundle);
        await _operator.EnrollAsync(new EnrollCall(bundle), cancel);
        await UntilAsync(async () => (await TryStatusAsync(cancel))?.Mode == "NORMAL", "the enrolment", cancel);
        Token = await IssueAsync(cancel);
    }

    private async Task<string> IssueAsync(CancellationToken cancel)
    {
        string said = "";
        await UntilAsync(
            async () =>
            {
                try
                {
                    said = await Server.CommandAsync(cancel, "licenses", "issue", Name, "--product", "register");
                    return true;
                }
                catch (InvalidOperationException)
                {
                    // The server mints when a check-in has named the version held.
                    return false;
                }
            },
            "the first license", cancel);
        return said.Split('\n').First(l => l.StartsWith("eyJ", StringComparison.Ordinal)).Trim();
    }

    private async Task MountAsync(int mebibytes, CancellationToken cancel)
    {
        string size = string.Create(CultureInfo.InvariantCulture, $"size={mebibytes}m,mode=0755");
        await RunAsync("mount", ["-t", "tmpfs", "-o", size, "tmpfs", _folder.Root], cancel);
        _hasDisk = true;
        _ = new TillFolder(_folder.Root);
    }

    private static async Task RunAsync(string program, string[] arguments, CancellationToken cancel)
    {
        await using ChildProcess run = await ChildProcess.StartAsync(program, arguments);
        if (await run.ExitCodeAsync(cancel) is not 0 and int code)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {code}: {run.Said}");
    }

    private static async Task UntilAsync(Func<Task<bool>> holds, string what, CancellationToken cancel)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(s_enrolMax);
        using PeriodicTimer turn = new(s_poll);
        while (!await holds())
        {
            try
            {
                await turn.WaitForNextTickAsync(limit.Token);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                throw new TimeoutException($"It took more than {s_enrolMax.TotalSeconds:0} s: {what}.");
            }
        }
    }
}
