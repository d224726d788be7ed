using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace LicenseAgent.Testbed.Processes;

/// <summary>
/// A program of the product as its own process, with what it says. It dies with this process, and on dispose at the
/// latest.
/// </summary>
public sealed partial class ChildProcess : IAsyncDisposable
{
    private const int SigTerm = 15, SigStop = 19, SigCont = 18;
    private const int NoSuchProcess = 3;

    // As a shell counts: 128 + SIGKILL.
    private const int KilledCode = 137;

    // Enough for a failing test's message; a program that talks more than this is cut at its beginning.
    private const int SaidMax = 1 << 20;

    private readonly Process _process;
    private readonly StringBuilder _said = new();
    private readonly Lock _gate = new();
    private readonly List<(string Text, TaskCompletionSource<string> Seen)> _waiting = [];
    private readonly Action<string>? _heard;

    private ChildProcess(Process process, Action<string>? heard)
    {
        (_process, _heard) = (process, heard);
        process.OutputDataReceived += (_, e) => Hear(e.Data);
        process.ErrorDataReceived += (_, e) => Hear(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>It has ended by SIGKILL, and not by itself.</summary>
    public bool WasKilled => _process.HasExited && _process.ExitCode == KilledCode;

    /// <summary>Everything it has printed, both streams.</summary>
    public string Said
    {
        get
        {
            lock (_gate)
            {
                return _said.ToString();
            }
        }
    }

    /// <param name="heard">Called with every line, from the threads that read them.</param>
    public static async Task<ChildProcess> StartAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null,
        Action<string>? heard = null) =>
        new(await ParentBoundLauncher.StartAsync(program, arguments, environment), heard);

    /// <summary>The path of a program of this solution, beside the running one.</summary>
    public static string PathOf(string program) => Path.Combine(AppContext.BaseDirectory, program);

    /// <summary>The first line, past or future, that contains <paramref name="text"/>.</summary>
    /// <exception cref="InvalidOperationException">It ended without saying so; the message has what it said.</exception>
    public async Task<string> WaitForLineAsync(string text, CancellationToken cancel)
    {
        TaskCompletionSource<string> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            string? line = _said.ToString().Split('\n').FirstOrDefault(l => l.Contains(text, StringComparison.Ordinal));
            if (line is not null)
            {
                return line;
            }

            _waiting.Add((text, seen));
        }

        Task first = await Task.WhenAny(seen.Task, _process.WaitForExitAsync(cancel));
        if (first == seen.Task || seen.Task.IsCompleted)
        {
            return await seen.Task;
        }

        cancel.ThrowIfCancellationRequested();
        throw new InvalidOperationException($"It ended with {_process.ExitCode} before saying \"{text}\":\n{Said}");
    }

    /// <summary>SIGKILL, as a crash or the end of power is to a process.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, and its exit code.</summary>
    public async Task<int> TerminateAsync(CancellationToken cancel)
    {
        Signal(SigTerm);
        return await ExitCodeAsync(cancel);
    }

    /// <summary>SIGTERM; whoever calls waits for its end.</summary>
    public void Terminate() => Signal(SigTerm);

    public void Stop() => Signal(SigStop);

    public void Continue() => Signal(SigCont);

    public async Task<int> ExitCodeAsync(CancellationToken cancel)
    {
        await _process.WaitForExitAsync(cancel);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }

    private void Hear(string? line)
    {
        if (line is null)
        {
            return;
        }

        _heard?.Invoke(line);
        lock (_gate)
        {
            _said.Append(line).Append('\n');
            if (_said.Length > SaidMax)
            {
                _said.Remove(0, _said.Length - SaidMax);
            }

            foreach ((string text, TaskCompletionSource<string> seen) in _waiting)
            {
                if (line.Contains(text, StringComparison.Ordinal))
                {
                    seen.TrySetResult(line);
                }
            }
        }
    }

    private void Signal(int signal)
    {
        if (_process.HasExited)
        {
            return;
        }

        int result = kill(_process.Id, signal);
        int error = Marshal.GetLastPInvokeError();

        // It may have ended since it was looked at; nobody is left then to be told.
        if (result != 0 && error != NoSuchProcess)
        {
            throw new Win32Exception(error, $"kill({_process.Id}, {signal}) failed with errno {error}.");
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);
}
