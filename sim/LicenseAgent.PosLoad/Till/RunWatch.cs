using System.Diagnostics;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Till;

/// <summary>What goes on beside the load: samples of the loaded process, and the events of the scenario.</summary>
internal static class RunWatch
{
    /// <summary>Samples once a second until <paramref name="over"/>.</summary>
    /// <param name="process">The one that is loaded at the moment; <see langword="null"/> while there is none.</param>
    public static async Task SampleAsync(Func<int?> process, LoadResult result, long start, CancellationToken over)
    {
        ProcessWatch? watch = null;
        using PeriodicTimer second = new(TimeSpan.FromSeconds(1));
        try
        {
            while (await second.WaitForNextTickAsync(over))
            {
                if (process() is not { } id)
                {
                    watch = null;
                    continue;
                }

                watch = watch?.Id == id ? watch : new ProcessWatch(id);
                result.Samples.Add(watch.Sample(Stopwatch.GetElapsedTime(start).TotalSeconds));
            }
        }
        catch (OperationCanceledException)
        {
            // The load is over.
        }
    }

    /// <summary>Has the events happen at their times.</summary>
    public static async Task ActAsync(
        Scenario scenario, LoadResult result, long start, Func<string, CancellationToken, Task> act,
        CancellationToken over)
    {
        foreach (StageEvent e in scenario.Events.OrderBy(e => e.At))
        {
            TimeSpan wait = TimeSpan.FromSeconds(e.At) - Stopwatch.GetElapsedTime(start);
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait, over);
            }

            double at = Stopwatch.GetElapsedTime(start).TotalSeconds;
            string trouble = "";
            try
            {
                await act(e.Do, over);
            }
            catch (InvalidOperationException failed)
            {
                trouble = failed.Message;
            }

            result.Events.Add(new EventDone(at, e.Do, Stopwatch.GetElapsedTime(start).TotalSeconds - at, trouble));
        }
    }
}
