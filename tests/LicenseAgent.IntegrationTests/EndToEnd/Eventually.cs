namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>Polls something that processes do in their own time, with a limit.</summary>
internal static class Eventually
{
    // Two shared cores under a full test run: what takes a second alone has taken thirty.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(50);

    /// <summary>The first value that is not null.</summary>
    /// <param name="missing">Says, at the limit, what was there instead.</param>
    /// <exception cref="TimeoutException">There was none.</exception>
    public static async Task<T> GetAsync<T>(Func<Task<T?>> look, Func<string> missing, CancellationToken cancel)
        where T : class
    {
        long start = TimeProvider.System.GetTimestamp();
        using PeriodicTimer turn = new(s_poll);
        while (true)
        {
            if (await look() is { } found)
            {
                return found;
            }

            if (TimeProvider.System.GetElapsedTime(start) > s_limit)
            {
                throw new TimeoutException($"It did not happen within {s_limit.TotalSeconds:0} s: {missing()}");
            }

            await turn.WaitForNextTickAsync(cancel);
        }
    }

    public static Task HoldsAsync(Func<bool> holds, string what, CancellationToken cancel) =>
        GetAsync(() => Task.FromResult(holds() ? what : null), () => what, cancel);
}
