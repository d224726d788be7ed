using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>How an swtpm listens.</summary>
public enum SwtpmListen
{
    Unix,
    Tcp,
}

/// <summary>
/// A real software TPM in a process and a temporary directory of its own. It takes one client at a time and stays up
/// between clients. Killing and starting it again on the same state is a power cut of the till.
/// </summary>
public sealed partial class SwtpmProcess : IAsyncDisposable
{
    private const int SignalContinue = 18;
    private const int SignalStop = 19;
    private const int NotesMax = 16 * 1024;
    private static readonly TimeSpan s_startTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_startPoll = TimeSpan.FromMilliseconds(2);

    private readonly SwtpmListen _listen;
    private readonly string _directory;
    private readonly int _port;
    private readonly StringBuilder _notes = new();
    private Process? _process;

    private SwtpmProcess(SwtpmListen listen, string directory, int port)
    {
        _listen = listen;
        _directory = directory;
        _port = port;
    }

    /// <summary>The value for <c>tpm.device</c>.</summary>
    public string Device => _listen == SwtpmListen.Unix ? $"swtpm:unix:{SocketPath}" : $"swtpm:127.0.0.1:{_port}";

    /// <summary>The value for the TCTI option (<c>-T</c>) of the tpm2-tools.</summary>
    public string ToolsTcti =>
        _listen == SwtpmListen.Unix ? $"swtpm:path={SocketPath}" : $"swtpm:host=127.0.0.1,port={_port}";

    /// <summary>Where the TPM's memory is kept: one file, as good as the chip.</summary>
    public string StateDirectory => Path.Combine(_directory, "state");

    /// <summary>
    /// The Unix socket of the data channel; the control channel is at the same path with <c>.ctrl</c>.
    /// </summary>
    public string SocketPath => Path.Combine(_directory, "sock");

    public int ProcessId => Running.Id;

    private Process Running => _process ?? throw new InvalidOperationException("swtpm does not run");

    /// <summary>
    /// Starts a new TPM, or one with the memory of another, copied from <paramref name="stateFrom"/>.
    /// </summary>
    public static async Task<SwtpmProcess> StartAsync(
        SwtpmListen listen, CancellationToken cancellationToken, string? stateFrom = null)
    {
        var directory = Directory.CreateTempSubdirectory("lsa-swtpm-").FullName;
        var swtpm = new SwtpmProcess(listen, directory, listen == SwtpmListen.Tcp ? FindPorts() : 0);
        Directory.CreateDirectory(swtpm.StateDirectory);
        if (stateFrom is not null) CopyFiles(stateFrom, swtpm.StateDirectory);
        try
        {
            await swtpm.LaunchAsync(cancellationToken);
            return swtpm;
        }
        catch (Exception)
        {
            await swtpm.DisposeAsync();
            throw;
        }
    }

    /// <summary>SIGKILL: what a power cut is to a TPM. Returns when the process is gone.</summary>
    public async Task KillAsync()
    {
        if (_process is not { } process) return;
        _process = null;
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    /// <summary>SIGSTOP: a TPM that hangs, with its connections open.</summary>
    public void Stop() => Signal(SignalStop);

    /// <summary>SIGCONT.</summary>
    public void Continue() => Signal(SignalContinue);

    /// <summary>
    /// Kills it if it runs, and starts it on the same state and address; without <paramref name="startUp"/> nobody has
    /// sent it TPM2_Startup yet.
    /// </summary>
    public async Task RestartAsync(CancellationToken cancellationToken, bool startUp = true)
    {
        await KillAsync();
        await LaunchAsync(cancellationToken, startUp);
    }

    /// <summary>Copies the TPM's memory into a directory that the caller owns.</summary>
    public void SaveState(string directory)
    {
        Directory.CreateDirectory(directory);
        CopyFiles(StateDirectory, directory);
    }

    /// <summary>Puts a saved memory back under the same address: a rolled back, or another, TPM.</summary>
    public async Task RestoreStateAsync(string directory, CancellationToken cancellationToken)
    {
        await KillAsync();
        foreach (var file in Directory.GetFiles(StateDirectory)) File.Delete(file);
        CopyFiles(directory, StateDirectory);
        await LaunchAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
    }

    private async Task LaunchAsync(CancellationToken cancellationToken, bool startUp = true)
    {
        File.Delete(SocketPath);
        File.Delete(SocketPath + ".ctrl");
        var channels = _listen == SwtpmListen.Unix
            ? (Server: $"type=unixio,path={SocketPath}", Control: $"type=unixio,path={SocketPath}.ctrl")
            : (Server: $"type=tcp,port={_port}", Control: $"type=tcp,port={_port + 1}");
        _process = await ParentBoundLauncher.StartAsync(
            "swtpm",
            [
                "socket", "--tpm2", "--tpmstate", $"dir={StateDirectory}", "--server", channels.Server,
                "--ctrl", channels.Control, "--flags", startUp ? "not-need-init,startup-clear" : "not-need-init",
            ]);
        Collect(_process);
        await WaitUntilItAcceptsAsync(_process, cancellationToken);
    }

    // What it says is only of interest when it does not start; more than the first 16 KiB is dropped.
    private void Collect(Process process)
    {
        void Add(object sender, DataReceivedEventArgs e)
        {
            lock (_notes)
            {
                if (_notes.Length < NotesMax) _notes.AppendLine(e.Data);
            }
        }

        process.ErrorDataReceived += Add;
        process.OutputDataReceived += Add;
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
    }

    private async Task WaitUntilItAcceptsAsync(Process process, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_startTimeout);
        using var pause = new PeriodicTimer(s_startPoll);
        while (!await AcceptsAsync(limit.Token))
        {
            if (process.HasExited)
                throw new InvalidOperationException($"swtpm ended with {process.ExitCode}: {_notes}");
            await pause.WaitForNextTickAsync(limit.Token);
        }
    }

    private async Task<bool> AcceptsAsync(CancellationToken cancellationToken)
    {
        using var probe = _listen == SwtpmListen.Unix
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        EndPoint end = _listen == SwtpmListen.Unix
            ? new UnixDomainSocketEndPoint(SocketPath)
            : new IPEndPoint(IPAddress.Loopback, _port);
        try
        {
            await probe.ConnectAsync(end, cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private void Signal(int signal)
    {
        if (Kill(Running.Id, signal) != 0)
            throw new InvalidOperationException($"kill({Running.Id}, {signal}): errno {Marshal.GetLastPInvokeError()}");
    }

    private static void CopyFiles(string from, string to)
    {
        foreach (var file in Directory.GetFiles(from, "tpm2-*"))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)), overwrite: true);
    }

    // Two neighbours are needed, the second for the control channel.
    private static int FindPorts()
    {
        while (true)
        {
            using var first = new TcpListener(IPAddress.Loopback, 0);
            first.Start();
            var port = ((IPEndPoint)first.LocalEndpoint).Port;
            if (port == IPEndPoint.MaxPort) continue;
            using var second = new TcpListener(IPAddress.Loopback, port + 1);
            try
            {
                second.Start();
                return port;
            }
            catch (SocketException)
            {
                // The neighbour is taken; another pair is tried.
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
