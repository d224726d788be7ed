using System.Collections.Concurrent;

namespace LicenseServer.Agents;

/// <summary>Counts for the metrics. Paths are counted only where they are endpoints, so the set is bounded.</summary>
internal sealed class Tally
{
    private readonly ConcurrentDictionary<(string Path, int Status), long> _answers = new();
    private long _shed;

    public IReadOnlyList<(string Path, int Status, long Count)> Answers =>
        [.. _answers.Select(entry => (entry.Key.Path, entry.Key.Status, entry.Value)).Order()];

    public long ShedCount => Interlocked.Read(ref _shed);

    public void Answered(string path, int status)
    {
        var known = path.StartsWith("/api/v1/", StringComparison.Ordinal) && status != 404 ? path : "other";
        _answers.AddOrUpdate((known, status), 1, static (_, count) => count + 1);
    }

    public void Shed() => Interlocked.Increment(ref _shed);
}
