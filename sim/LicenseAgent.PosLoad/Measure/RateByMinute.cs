using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Measure;

/// <summary>
/// How many requests a fleet sent in each minute of its own time, before its server went away and after it came back.
/// Tries in between are no requests: nobody was there.
/// </summary>
/// <param name="Steady">A minute, before the server went away.</param>
/// <param name="After">Minute for minute from the moment it was back; the last one may be left out for being short.</param>
internal sealed record RateByMinute(double Steady, IReadOnlyList<double> After)
{
    /// <summary>The most in a minute from the second on, as a multiple of the steady rate.</summary>
    public double WorstFromSecond => Steady == 0 ? 0 : After.Skip(1).DefaultIfEmpty().Max() / Steady;

    /// <summary>Its number, from 1.</summary>
    public int WorstMinute => After.Skip(1).Index().Select(m => (m.Item, Number: m.Index + 2))
        .DefaultIfEmpty().MaxBy(m => m.Item).Number;

    /// <summary><see langword="null"/> when the server did not go away and come back, with a minute on either side.</summary>
    /// <param name="factor">Seconds of the fleet's time in a second; a divisor of 60.</param>
    public static RateByMinute? Of(LoadResult result, int factor)
    {
        int minute = 60 / factor;
        EventDone? gone = result.Events.FirstOrDefault(e => e.Do == StageEvents.ServerKill);
        EventDone? back = result.Events.LastOrDefault(e => e.Do == StageEvents.ServerStart && e.Trouble.Length == 0);
        if (gone is null || back is null)
        {
            return null;
        }

        Dictionary<int, long> sent = result.Seconds.ToDictionary(s => s.Second, s => s.Due);
        double In(int from, int count) => Enumerable.Range(from, count).Sum(s => sent.GetValueOrDefault(s));
        int before = (int)gone.At / minute * minute;
        int begin = (int)Math.Ceiling(back.At + back.Took);
        int after = (result.Seconds.Select(s => s.Second).DefaultIfEmpty().Max() + 1 - begin) / minute;
        return before == 0 || after <= 0
            ? null
            : new RateByMinute(
                In(0, before) / (before / minute),
                [.. Enumerable.Range(0, after).Select(m => In(begin + (m * minute), minute))]);
    }
}
