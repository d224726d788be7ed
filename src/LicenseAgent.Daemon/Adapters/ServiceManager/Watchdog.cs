using System.Globalization;
using System.Net.Sockets;

namespace LicenseAgent.Daemon.Adapters.ServiceManager;

/// <summary>Something that only a working agent can do, done now. Throws or stays away when it cannot.</summary>
internal sealed record LifeSign(string Name, Func<CancellationToken, Task> ShowAsync);

/// <summary>
/// sd_watchdog_enabled(3) from real liveness: the manager hears of the agent only after every sign of life was shown in
/// this very round. A timer alone would ping on while nothing works. One round at a time, each a third of the limit
/// apart and at most as long, so that a round that is only slow still comes in time.
/// </summary>
/// <param name="alive">Tells the manager.</param>
/// <param name="silent">Told which sign did not come, once until it comes again.</param>
internal sealed class Watchdog(
    TimeSpan limit, TimeProvider time, IReadOnlyList<LifeSign> signs, Action alive, Action<string> silent)
{
    private readonly TimeSpan _turn = limit / 3;
    private string? _missing;

    /// <summary>The manager's limit for this process; null where it does not watch.</summary>
    public static TimeSpan? LimitOf(string? microseconds, string? pid, int ownPid) =>
        (string.IsNullOrEmpty(pid) || pid == ownPid.ToString(CultureInfo.InvariantCulture))
        && long.TryParse(microseconds, NumberStyles.None, CultureInfo.InvariantCulture, out long us) && us > 0
            ? TimeSpan.FromMicroseconds(us)
            : null;

    public async Task RunAsync(CancellationToken stop)
    {
        using PeriodicTimer turn = new(_turn, time);
        try
        {
            do
            {
                await RoundAsync(stop);
            }
            while (await turn.WaitForNextTickAsync(stop));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The agent is being stopped, and the manager has been told so.
        }
    }

    /// <returns>Whether the manager was told.</returns>
    public async Task<bool> RoundAsync(CancellationToken stop)
    {
        using CancellationTokenSource late = new(_turn, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(stop, late.Token);
        foreach (LifeSign sign in signs)
        {
            if (!await IsShownAsync(sign, either.Token, stop))
            {
                if (_missing != sign.Name)
                    silent(sign.Name);
                _missing = sign.Name;
                return false;
            }
        }

        _missing = null;
        alive();
        return true;
    }

    private static async Task<bool> IsShownAsync(LifeSign sign, CancellationToken late, CancellationToken stop)
    {
        try
        {
            // A sign that ignores the token must not hold the round.
            await sign.ShowAsync(late).WaitAsync(late);
            return true;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return false;
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            return false;
        }
    }
}
