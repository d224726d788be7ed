using System.Collections.Concurrent;
using System.Diagnostics;

namespace LicenseAgent.Testbed.Processes;

/// <summary>
/// Starts child processes that die with this one, however it ends. The kernel sends PR_SET_PDEATHSIG when the *thread*
/// that forked is gone, so all are forked by one thread that lives as long as the process.
/// </summary>
public static class ParentBoundLauncher
{
    private static readonly BlockingCollection<Request> s_requests = [];

    static ParentBoundLauncher() => new Thread(Loop) { IsBackground = true, Name = "launcher" }.Start();

    /// <summary>
    /// Starts <paramref name="program"/> under setpriv, which sets the death signal and then becomes it.
    /// </summary>
    public static Task<Process> StartAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo("setpriv")
        {
            ArgumentList = { "--pdeathsig", "KILL", "--", program },
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        s_requests.Add(new Request(start, started));
        return started.Task;
    }

    private static void Loop()
    {
        foreach (var (start, started) in s_requests.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Process.Start(start)!);
            }
            // The thread must outlive a program that is not installed; its caller gets the reason.
            catch (Exception e)
            {
                started.SetException(e);
            }
        }
    }

    private sealed record Request(ProcessStartInfo Start, TaskCompletionSource<Process> Started);
}
