using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tpm;
using LicenseServer;
using LicenseServer.Agents;
using LicenseServer.Licenses;

namespace LicenseAgent.Testbed.Tills;

/// <summary>What a measured till differs in.</summary>
/// <param name="PosUids">Users that may validate; <see langword="null"/>: the one who runs this.</param>
/// <param name="PosRate">Validations a second of one user; without limit unless the limit is measured.</param>
/// <param name="WatchTpm">A proxy stands on the TPM bus, through which others can look; it costs time.</param>
public sealed record EnrolledTillSettings(
    ServerSettings Server, IReadOnlyList<uint>? PosUids = null, bool WatchTpm = false,
    int PosRate = EnrolledTillSettings.NoLimit)
{
    // The largest that leaves room for a burst of twice it.
    public const int NoLimit = 500_000;
}

/// <summary>
/// A till as in a shop, to be measured: swtpm, the agent's process, enrolled at a license server's process. Validations
/// are not limited in rate unless that is what is measured.
/// </summary>
public sealed class EnrolledTill : IAsyncDisposable
{
    public const string Name = "pos-001";

    private static readonly TimeSpan s_enrolMax = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_enrolPoll = TimeSpan.FromMilliseconds(50);

    private readonly Workplace _place = new();
    private readonly TillFolder _folder;
    private readonly ManagementClient _operator;
    private LicenseServerProcess? _server;
    private SwtpmProcess? _tpm;
    private TpmProxy? _bus;
    private AgentProcess? _agent;

    private EnrolledTill()
    {
        _folder = _place.AddTill(Name);
        _operator = new ManagementClient(new ManagementClientOptions { SocketPath = _folder.AdminSocket });
    }

    public string PosSocket => _folder.PosSocket;

    /// <summary>Where a handler to compare with may listen.</summary>
    public string EmptySocket => Path.Combine(_folder.Runtime, "empty.sock");

    /// <summary>Directory of the license server's database and keys.</summary>
    public string ServerData => _place.ServerData;

    /// <summary>The till's directory, for files of who measures it; gone with the till.</summary>
    public string Scratch => _folder.Root;

    public int AgentId => Agent.Process.Id;

    public SwtpmProcess Tpm => _tpm ?? throw new InvalidOperationException("The TPM does not run.");

    public LicenseServerProcess Server => _server ?? throw new InvalidOperationException("The server does not run.");

    public static async Task<EnrolledTill> OpenAsync(EnrolledTillSettings settings, CancellationToken cancel)
    {
        var till = new EnrolledTill();
        try
        {
            till._server = await LicenseServerProcess.StartAsync(till._place, settings.Server, cancel);
            till._tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel);
            till._bus = settings.WatchTpm ? TpmProxy.Start(till._tpm) : null;
            TillSettings own = new()
            {
                TpmDevice = till._bus?.Device ?? till._tpm.Device,
                PosRate = settings.PosRate,
                RotationInterval = settings.Server.RotationInterval,
                GracePeriod = settings.Server.GracePeriod,
                CheckInInterval = settings.Server.CheckInInterval,
            };
            till._folder.WriteConfig(settings.PosUids is { } uids ? own with { PosUids = uids } : own);
            till._agent = await AgentProcess.StartAsync(till._folder, cancel);
            await till.EnrollAsync(cancel);
            return till;
        }
        catch (Exception)
        {
            await till.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends the agent in order and starts it again; how long until it said that it is ready.</summary>
    public async Task<TimeSpan> RestartAsync(CancellationToken cancel)
    {
        await Agent.Process.TerminateAsync(cancel);
        await Agent.DisposeAsync();
        long start = Stopwatch.GetTimestamp();
        _agent = await AgentProcess.StartAsync(_folder, cancel);
        return Stopwatch.GetElapsedTime(start);
    }

    /// <summary>Objects and sessions that are loaded in the TPM; <see langword="null"/> where nobody can look.</summary>
    public async Task<int?> LoadedInTpmAsync(CancellationToken cancel) =>
        _bus is null ? null : await TpmHandles.CountAsync(_bus, cancel);

    /// <summary>Resident memory of the agent, in MiB.</summary>
    public double ResidentMiB() => long.Parse(
        File.ReadLines($"/proc/{Agent.Process.Id}/status")
            .First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal))[6..]
            .Replace("kB", "", StringComparison.Ordinal),
        CultureInfo.InvariantCulture) / 1024.0;

    /// <summary>Rotates as an operator asks for it.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message has the reason.</exception>
    public async Task<TimeSpan> RotateAsync(CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        RotateOutcome outcome = (await _operator.RotateAsync(cancel)).Value;
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        return outcome.Outcome == "rotated"
            ? took
            : throw new InvalidOperationException($"The rotation failed: {outcome.Reason}.");
    }

    /// <summary>Tokens of as many licenses, of one length, minted on the license server's database.</summary>
    /// <param name="lifetime">From now; they are good until then.</param>
    public async Task<IReadOnlyList<string>> IssueAsync(int count, TimeSpan lifetime, string prefix = "lic")
    {
        await using ServerStore store = await ServerStore.OpenAsync(
            new ServerSettings().OptionsIn(_place), TimeProvider.System, RandomNumberGenerator.Fill);
        var keys = new VersionKeys(store.Keys, RandomNumberGenerator.Fill);
        var desk = new LicenseDesk(store, keys, TimeProvider.System, RandomNumberGenerator.Fill, "load");
        UtcTime expires = UtcTime.From(DateTimeOffset.UtcNow + lifetime);
        var tokens = new List<string>(count);
        for (int i = 0; i < count; i++)
        {
            var order = new LicenseOrder(Name, "till", expires)
            {
                LicenseId = string.Create(CultureInfo.InvariantCulture, $"{prefix}-{i:000000}"),
                Features = ["sale", "return"],
            };
            tokens.Add((await desk.IssueAsync(order)).Token);
        }
        return tokens;
    }

    public async ValueTask DisposeAsync()
    {
        _operator.Dispose();
        if (_agent is not null)
            await _agent.DisposeAsync();
        if (_bus is not null)
            await _bus.DisposeAsync();
        if (_tpm is not null)
            await _tpm.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
        _place.Dispose();
    }

    private AgentProcess Agent => _agent ?? throw new InvalidOperationException("The agent does not run.");

    private async Task EnrollAsync(CancellationToken cancel)
    {
        string file = Path.Combine(_folder.Root, "bundle.json");
        await Server.CommandAsync(cancel, "agents", "add", Name, "--out", file);
        EnrollmentBundle bundle = StrictJson.Read(
            await File.ReadAllBytesAsync(file, cancel), BundleJsonContext.Wire.EnrollmentBundle);
        await _operator.EnrollAsync(new EnrollCall(bundle), cancel);
        long start = Stopwatch.GetTimestamp();
        while ((await _operator.StatusAsync(cancel)).Value.Mode != "NORMAL")
        {
            if (Stopwatch.GetElapsedTime(start) > s_enrolMax)
                throw new TimeoutException("The agent had no first secret within 60 s of its enrolment.");
            await Task.Delay(s_enrolPoll, cancel);
        }
    }
}
