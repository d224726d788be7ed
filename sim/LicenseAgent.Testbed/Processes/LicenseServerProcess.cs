using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LicenseAgent.Testbed.Net;
using LicenseServer;
using LicenseServer.Agents;

namespace LicenseAgent.Testbed.Processes;

/// <summary>The intervals a testbed's license server gives its tills.</summary>
public sealed record ServerSettings
{
    /// <summary>Those of a server on a workplace, in this process: its database may be opened, or it is run.</summary>
    public ServerOptions OptionsIn(Workplace place)
    {
        ArgumentNullException.ThrowIfNull(place);
        return new ServerOptions
        {
            DataDirectory = place.ServerData,
            TlsCertFile = place.Pki.ServerCertificate,
            TlsKeyFile = place.Pki.ServerKey,
            AgentCaCertFile = place.Pki.AgentCaCertificate,
            AgentCaKeyFile = place.Pki.AgentCaKey,
            ServerCaCertFile = place.Pki.ServerCaCertificate,
            Listen = new IPEndPoint(IPAddress.Loopback, 0),
            ManagementListen = new IPEndPoint(IPAddress.Loopback, 0),
            Policy = new Policy
            {
                RotationInterval = RotationInterval,
                GracePeriod = GracePeriod,
                CheckInInterval = CheckInInterval,
            },
            EnrollmentApproval = EnrollmentApproval,
            RateLimit = new RateLimitOptions { PerMinute = RatePerMinute, Burst = RateBurst },
        };
    }

    public TimeSpan RotationInterval { get; init; } = TimeSpan.FromDays(1);

    public TimeSpan GracePeriod { get; init; } = TimeSpan.FromDays(7);

    public TimeSpan CheckInInterval { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Requests of one agent a minute, and at once.</summary>
    public int RatePerMinute { get; init; } = 6000;

    public int RateBurst { get; init; } = 1000;

    /// <summary>Enrolments wait until somebody has compared the till's key.</summary>
    public bool EnrollmentApproval { get; init; }

    /// <summary>Around the server stands what <see cref="LicenseServerProcess.TellAsync"/> tells its faults.</summary>
    public bool WithFaults { get; init; }

    /// <summary>With <see cref="WithFaults"/>: a file of those that hold whenever it starts.</summary>
    public string? FaultsFile { get; init; }
}

/// <summary>The license server, as its own process on a workplace; always at the same address, so that it can return.</summary>
public sealed class LicenseServerProcess : IAsyncDisposable
{
    private readonly Workplace _place;
    private readonly ServerSettings _settings;
    private readonly int _port = FreePort();
    private readonly int _managementPort = FreePort();
    private ChildProcess? _process;

    private LicenseServerProcess(Workplace place, ServerSettings settings) => (_place, _settings) = (place, settings);

    public ChildProcess Process => _process ?? throw new InvalidOperationException("The license server does not run.");

    /// <summary>Where tills find it, on loopback.</summary>
    public int Port => _port;

    public static async Task<LicenseServerProcess> StartAsync(
        Workplace place, ServerSettings settings, CancellationToken cancel)
    {
        LicenseServerProcess server = new(place, settings);
        try
        {
            await server.RestartAsync(cancel);
            return server;
        }
        catch (Exception)
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it again on the same database and address.</summary>
    public async Task RestartAsync(CancellationToken cancel)
    {
        await KillAsync();
        _process = _settings.WithFaults
            ? await ChildProcess.StartAsync(
                ChildProcess.PathOf("license-server-mock"), [.. FaultsOption(), ControlPath, "serve", .. Arguments()],
                RuntimeVariables.OfAService)
            : await ChildProcess.StartAsync(Program, ["serve", .. Arguments()], RuntimeVariables.OfAService);
        await _process.WaitForLineAsync("ready", cancel);
    }

    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.DisposeAsync();
        }
    }

    /// <summary>Tells the server that runs its faults, a JSON array; <c>[]</c> heals, nothing asks.</summary>
    /// <returns>Those in force.</returns>
    /// <exception cref="InvalidOperationException">They were refused; the message says why.</exception>
    public async Task<string> TellAsync(string faults, CancellationToken cancel)
    {
        string answer = await ControlSocket.CallAsync(ControlPath, faults, cancel);
        if (answer.StartsWith(ControlSocket.Refusal, StringComparison.Ordinal))
            throw new InvalidOperationException($"The faults {faults} are none: {answer}");
        return answer;
    }

    /// <summary>Runs an operator's command on its data and gives back what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message has what it said.</exception>
    public async Task<string> CommandAsync(CancellationToken cancel, params string[] command)
    {
        await using ChildProcess run = await ChildProcess.StartAsync(Program, [.. command, .. Arguments()]);
        int code = await run.ExitCodeAsync(cancel);
        return code == 0
            ? run.Said
            : throw new InvalidOperationException($"license-server {string.Join(' ', command)} ended with {code}:\n{run.Said}");
    }

    public async ValueTask DisposeAsync() => await KillAsync();

    private string ControlPath => Path.Combine(_place.Root, "server.control");

    private IEnumerable<string> FaultsOption() => _settings.FaultsFile is { } file ? ["--faults", file] : [];

    private static string Program => ChildProcess.PathOf("license-server");

    private IEnumerable<string> Arguments() =>
    [
        "--data", _place.ServerData, "--pki", _place.Pki.Root,
        "--listen", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_port}"),
        "--management-listen", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_managementPort}"),
        "--url", string.Create(CultureInfo.InvariantCulture, $"https://localhost:{_port}"),
        "--rotation-interval", Seconds(_settings.RotationInterval),
        "--grace-period", Seconds(_settings.GracePeriod),
        "--check-in-interval", Seconds(_settings.CheckInInterval),
        "--enrolment-approve", _settings.EnrollmentApproval ? "true" : "false",
        "--rate-per-minute", _settings.RatePerMinute.ToString(CultureInfo.InvariantCulture),
        "--rate-burst", _settings.RateBurst.ToString(CultureInfo.InvariantCulture),
    ];

    private static string Seconds(TimeSpan span) =>
        ((int)span.TotalSeconds).ToString(CultureInfo.InvariantCulture) + "s";

    /// <summary>One that nobody listens on at this moment, on loopback.</summary>
    public static int FreePort()
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
