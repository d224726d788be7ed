using System.Diagnostics;
using System.Globalization;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>How long the parts of one point took, in their order.</summary>
internal sealed class Laps
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly List<(string Name, TimeSpan At)> _ends = [];

    public TimeSpan Whole => _ends.Count == 0 ? TimeSpan.Zero : _ends[^1].At;

    /// <summary>What has been going on since the lap before ends now.</summary>
    public void End(string name) => _ends.Add((name, Stopwatch.GetElapsedTime(_start)));

    /// <summary>The medians over points: <c>open 2.1, strike 0.8</c>.</summary>
    public static string Medians(IReadOnlyList<Laps> all)
    {
        string[] names = [.. all.SelectMany(l => l._ends.Select(e => e.Name)).Distinct()];
        return string.Join(", ", names.Select(name =>
        {
            double[] seconds = [.. all.SelectMany(l => l.Seconds(name)).Order()];
            return string.Create(CultureInfo.InvariantCulture, $"{name} {seconds[seconds.Length / 2]:0.0}");
        }));
    }

    private IEnumerable<double> Seconds(string name)
    {
        TimeSpan before = TimeSpan.Zero;
        foreach ((string lap, TimeSpan at) in _ends)
        {
            if (lap == name)
                yield return (at - before).TotalSeconds;
            before = at;
        }
    }
}
