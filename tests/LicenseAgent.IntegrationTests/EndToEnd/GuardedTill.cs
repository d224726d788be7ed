using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>
/// An agent that wants operators' certificates, made with openssl: by socket and over HTTPS. It is not enrolled;
/// management does not need that.
/// </summary>
public sealed class GuardedTill : IAsyncLifetime
{
    public static readonly string[] Ec = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    public static readonly string[] Rsa = ["rsa:2048"];

    private readonly Workplace _place = new();
    private TillFolder _folder = null!;
    private SwtpmProcess? _tpm;
    private AgentProcess? _agent;

    internal OpensslPki Pki { get; private set; } = null!;

    internal string AdminSocket => _folder.AdminSocket;

    internal string AuditLog => _folder.AuditLog;

    internal int HttpsPort { get; private set; }

    internal ChildProcess Process => _agent!.Process;

    public async ValueTask InitializeAsync()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        Pki = await OpensslPki.CreateAsync(cancel);
        await Pki.IssueAsync("admin", "admin", Ec, cancel);
        await Pki.IssueAsync("admin-rsa", "admin", Rsa, cancel);
        await Pki.IssueAsync("viewer", "viewer", Ec, cancel);
        await Pki.IssueAsync("lost", "admin", Ec, cancel);
        await Pki.IssueServerAsync(cancel);
        HttpsPort = FreePort();
        _tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel);
        _folder = _place.AddTill("pos-001");
        _folder.WriteConfig(new TillSettings
        {
            TpmDevice = _tpm.Device,
            Management = $"""
                viewer_uids = [1003]
                require_certificate = true
                ca_cert = "{Pki.CaFile}"
                crl = "{Pki.CrlFile}"
                https_listen = "127.0.0.1:{HttpsPort}"
                https_cert = "{Pki.PathOf("https.pem")}"
                https_key = "{Pki.PathOf("https.key")}"
                """,
        });
        _agent = await AgentProcess.StartAsync(_folder, cancel);
    }

    public async ValueTask DisposeAsync()
    {
        if (_agent is not null)
            await _agent.DisposeAsync();
        if (_tpm is not null)
            await _tpm.DisposeAsync();
        Pki?.Dispose();
        _place.Dispose();
    }

    /// <summary>The command line, on this till's socket.</summary>
    internal Task<(int Exit, string Said)> CliAsync(CancellationToken cancel, params string[] arguments) => RunAsync(
        ChildProcess.PathOf("license-agent-cli"), cancel, ["--socket", AdminSocket, .. arguments]);

    /// <summary>With a certificate and a key of <see cref="Pki"/>.</summary>
    internal Task<(int Exit, string Said)> CliAsAsync(
        string name, CancellationToken cancel, params string[] arguments) => CliAsync(
            cancel, ["--auth-cert", Pki.PathOf($"{name}.pem"), "--auth-key", Pki.PathOf($"{name}.key"), .. arguments]);

    internal static async Task<(int Exit, string Said)> RunAsync(
        string program, CancellationToken cancel, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = System.Diagnostics.Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(cancel);
        string output = await process.StandardOutput.ReadToEndAsync(cancel);
        await process.WaitForExitAsync(cancel);
        return (process.ExitCode, output + await errors);
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
