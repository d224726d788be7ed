using LicenseAgent.Benchmarks.Till;

namespace LicenseAgent.Benchmarks.Peers;

/// <summary>One of what is compared, and the figures of its rounds. Connections are made anew for each round: none
/// outlives another peer's round idle.</summary>
internal sealed class Peer(string name, Func<IExchange> connect)
{
    private const int ConnectionCount = 8;

    private readonly List<double> _perSecond = [], _p50 = [], _p99 = [];

    public string Name => name;

    /// <summary>Answers a second over all connections; median of the rounds.</summary>
    public double PerSecond => Rounds.Median(_perSecond);

    /// <summary>Of one connection alone, in microseconds; median of the rounds.</summary>
    public double P50 => Rounds.Median(_p50);

    public double P99 => Rounds.Median(_p99);

    public void WarmUp(TimeSpan length, CancellationToken cancel) => OnConnections(
        connections => Rounds.Throughput(connections, length, cancel));

    public void Measure(TimeSpan round, CancellationToken cancel) => OnConnections(connections =>
    {
        _perSecond.Add(Rounds.Throughput(connections, round, cancel));
        Latency latency = Rounds.OneByOne(connections[0], round, cancel);
        _p50.Add(latency.P50);
        _p99.Add(latency.P99);
    });

    private void OnConnections(Action<IReadOnlyList<IExchange>> use)
    {
        List<IExchange> connections = [];
        try
        {
            for (int i = 0; i < ConnectionCount; i++)
                connections.Add(connect());
            use(connections);
        }
        finally
        {
            foreach (IExchange connection in connections)
                connection.Dispose();
        }
    }
}
