using System.Diagnostics;

namespace LicenseAgent.Benchmarks.Till;

/// <summary>Times of single requests, in microseconds.</summary>
internal readonly record struct Latency(double P50, double P99);

/// <summary>
/// Closed-loop rounds of one thread: each connection has one request open. A round ends with its time or its share of
/// the nonces that the agent can remember, 2^21 in 900 s: 5 × (250 000 + 100 000) stay below.
/// </summary>
internal static class Rounds
{
    public const int Count = 5;

    private const int ThroughputMax = 250_000;
    private const int LatencyMax = 100_000;

    /// <summary>Answers a second over all connections.</summary>
    public static double Throughput(IReadOnlyList<IExchange> connections, TimeSpan length, CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        foreach (IExchange connection in connections)
            connection.Send();
        int answered = 0;
        TimeSpan took;
        while ((took = Stopwatch.GetElapsedTime(start)) < length && answered < ThroughputMax)
        {
            cancel.ThrowIfCancellationRequested();

            // The others are being answered meanwhile, so this thread hardly ever waits.
            foreach (IExchange connection in connections)
            {
                connection.Receive();
                connection.Send();
            }
            answered += connections.Count;
        }
        foreach (IExchange connection in connections)
            connection.Receive();
        return answered / took.TotalSeconds;
    }

    public static Latency OneByOne(IExchange connection, TimeSpan length, CancellationToken cancel)
    {
        var took = new List<double>(LatencyMax);
        long start = Stopwatch.GetTimestamp();
        while (took.Count < LatencyMax && Stopwatch.GetElapsedTime(start) < length)
        {
            cancel.ThrowIfCancellationRequested();
            took.Add(Once(connection));
        }
        return Of(took);
    }

    /// <summary>Each token is asked for once.</summary>
    public static Latency EachToken(PosConnection connection, IEnumerable<string> tokens)
    {
        var took = new List<double>();
        foreach (string token in tokens)
        {
            connection.Use(token);
            took.Add(Once(connection));
        }
        return Of(took);
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    private static double Once(IExchange connection)
    {
        long start = Stopwatch.GetTimestamp();
        connection.Send();
        connection.Receive();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    private static Latency Of(List<double> took)
    {
        took.Sort();
        return new Latency(took[took.Count / 2], took[took.Count * 99 / 100]);
    }
}
