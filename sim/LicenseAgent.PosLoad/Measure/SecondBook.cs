using LicenseAgent.PosLoad.Load;

namespace LicenseAgent.PosLoad.Measure;

/// <summary>
/// The seconds of a load that many threads make in one process; requests count in the second they were due. One lock.
/// </summary>
internal sealed class SecondBook(LoadResult result, Action<LoadResult, LoadSecond> progress)
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, LoadSecond> _open = [];

    /// <param name="due">Seconds from the start.</param>
    /// <param name="lag">How late the generator was itself, in seconds.</param>
    /// <param name="isClosed">It waited for the one before.</param>
    public void Due(double due, double lag, bool isClosed)
    {
        lock (_gate)
        {
            LoadSecond second = Of_NeedsLock(due);
            second.Due++;
            second.IsClosed |= isClosed;
            if (!isClosed)
            {
                second.Lag.Record((long)(lag * 1e6));
            }
        }
    }

    /// <param name="took">Seconds from when it was due.</param>
    /// <param name="why">Of a failure.</param>
    public void Settle(double due, Outcome outcome, double took, string why)
    {
        lock (_gate)
        {
            LoadSecond second = Of_NeedsLock(due);
            switch (outcome)
            {
                case Outcome.Expected: second.Expected++; break;
                case Outcome.Wrong: second.Wrong++; break;
                case Outcome.Refused: second.Refused++; break;
                default: second.Broken++; break;
            }

            if (outcome != Outcome.Broken)
            {
                second.Latency.Record((long)(took * 1e6));
            }

            if (outcome != Outcome.Expected)
            {
                second.Reasons.Add(why);
            }
        }
    }

    /// <summary>It was tried while the server was away on purpose: it counts as neither due nor failed.</summary>
    public void Away(double due)
    {
        lock (_gate)
        {
            LoadSecond second = Of_NeedsLock(due);
            second.Due--;
            second.Away++;
        }
    }

    /// <summary>Gives away the seconds that are over; the first that still waits holds up the rest.</summary>
    /// <param name="now">Seconds from the start; infinity: all of them, as they are.</param>
    public void Report(double now)
    {
        List<LoadSecond> over = [];
        lock (_gate)
        {
            while (_open.Count > 0)
            {
                LoadSecond first = _open.First().Value;
                bool isSettled = first.Expected + first.Failed == first.Due && first.Second + 1 <= now;
                if (!isSettled && !double.IsPositiveInfinity(now))
                {
                    break;
                }

                _open.Remove(first.Second);
                over.Add(first);
            }
        }

        foreach (LoadSecond second in over)
        {
            result.Seconds.Add(second);
            progress(result, second);
        }
    }

    private LoadSecond Of_NeedsLock(double due)
    {
        int number = (int)due;
        if (!_open.TryGetValue(number, out LoadSecond? second))
        {
            _open[number] = second = new LoadSecond(number);
        }

        return second;
    }
}
