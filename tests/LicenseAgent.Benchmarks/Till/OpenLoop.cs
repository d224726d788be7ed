using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LicenseAgent.Benchmarks.Till;

/// <summary>Times of requests from the moment each was due, in microseconds.</summary>
internal readonly record struct OpenLatency(int Answered, double P50, double P99, double P999);

/// <summary>
/// Requests at fixed times, whether or not the ones before have been answered in time: what comes late counts from when
/// it was due. A thread a connection, so that nothing waits in the client but for its own connection.
/// </summary>
internal static partial class OpenLoop
{
    public static OpenLatency Run(
        IReadOnlyList<PosConnection> connections, int perSecond, TimeSpan length, CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp() + Stopwatch.Frequency / 20;
        long apart = Stopwatch.Frequency * connections.Count / perSecond;
        List<double>[] took = [.. connections.Select(_ => new List<double>())];
        Exception? failed = null;
        Thread[] threads =
        [
            .. connections.Select((connection, i) => new Thread(() =>
            {
                try
                {
                    long end = start + (long)(length.TotalSeconds * Stopwatch.Frequency);
                    for (long due = start + apart * i / connections.Count; due < end && !cancel.IsCancellationRequested;
                        due += apart)
                    {
                        SleepUntil(due);
                        connection.Send();
                        connection.Receive();
                        took[i].Add(Stopwatch.GetElapsedTime(due).TotalMicroseconds);
                    }
                }
                catch (Exception e)
                {
                    // Told to whoever runs the load, below: a thread must not end the process.
                    Interlocked.CompareExchange(ref failed, e, null);
                }
            })),
        ];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();
        cancel.ThrowIfCancellationRequested();
        if (failed is not null)
            throw new InvalidOperationException($"A request was not answered as wanted: {failed.Message}", failed);
        double[] all = [.. took.SelectMany(t => t).Order()];
        return new OpenLatency(
            all.Length, all[all.Length / 2], all[all.Length * 99 / 100], all[(int)(all.Length * 999L / 1000)]);
    }

    // By the kernel's clock: the library's waits count in milliseconds, which is longer than what is measured.
    private static void SleepUntil(long due)
    {
        TimeSpan left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due);
        if (left <= TimeSpan.Zero)
            return;
        Timespec wait = new()
        {
            Seconds = (long)left.TotalSeconds,
            Nanoseconds = left.Ticks % TimeSpan.TicksPerSecond * 100,
        };
        _ = nanosleep(in wait, 0);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport("libc")]
    private static partial int nanosleep(in Timespec wanted, nint left);
}
