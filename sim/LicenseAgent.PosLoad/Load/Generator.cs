using System.Diagnostics;
using LicenseAgent.PosLoad.Measure;

namespace LicenseAgent.PosLoad.Load;

/// <summary>What one second of a worker saw; requests count in the second they were due.</summary>
/// <param name="Second">From the start of the load.</param>
/// <param name="Due">Requests whose time came.</param>
/// <param name="Troubles">Why requests of this second failed, and how often.</param>
/// <param name="Latency">Microseconds from the due time to the whole answer, failures left out.</param>
/// <param name="Lag">Microseconds the generator itself was late.</param>
internal sealed record WorkerSecond(
    int Second, long Due, long Expected, long Wrong, long Refused, long Broken,
    IReadOnlyDictionary<string, long> Troubles, long[][] Latency, long[][] Lag);

/// <summary>
/// The open-model generator: one thread, one poll for all connections. A request is due when its time comes, whatever
/// became of those before; with no connection free it waits here, and that waiting counts as its latency.
/// </summary>
internal sealed class Generator(
    IReadOnlyList<Lane> lanes, IEnumerator<long> times, Func<PosRequest> next, Action<WorkerSecond> report)
{
    /// <summary>Beyond so many waiting requests the oldest count as broken.</summary>
    private const int WaitingMax = 100_000;

    private const long AnswerWithinNs = 10_000_000_000, NoTime = long.MaxValue, Nano = 1_000_000_000;
    private const long WaitAtMostNs = 100_000_000;

    private readonly Poller _poller = new(lanes.Count);
    private readonly NonceCounter _nonces = new();
    private readonly Queue<long> _waiting = new();
    private readonly Stack<int> _idle = new(Enumerable.Range(0, lanes.Count));
    private readonly SortedDictionary<int, Tally> _seconds = [];
    private long _dueNs = NoTime;
    private long _start;

    /// <summary>Sends and receives until every request has its outcome.</summary>
    /// <param name="start">A <see cref="Stopwatch"/> timestamp: time 0 of the load.</param>
    public void Run(long start, CancellationToken cancel)
    {
        _start = start;
        for (int i = 0; i < lanes.Count; i++)
        {
            _poller.Clear(i);
        }

        Advance();
        while (_dueNs != NoTime || _waiting.Count > 0 || _idle.Count < lanes.Count)
        {
            cancel.ThrowIfCancellationRequested();
            TakeDue();
            SendWaiting();
            _poller.Wait(WaitNs());
            ReceiveReady();
            ReportPast(settled: false);
        }

        ReportPast(settled: true);
    }

    private long NowNs => (Stopwatch.GetTimestamp() - _start) * (Nano / Stopwatch.Frequency);

    private void Advance() => _dueNs = times.MoveNext() ? times.Current : NoTime;

    private void TakeDue()
    {
        for (long now = NowNs; _dueNs <= now; Advance())
        {
            Tally tally = TallyOf(_dueNs);
            tally.Due++;
            tally.Lag.Record((now - _dueNs) / 1000);
            _waiting.Enqueue(_dueNs);
            if (_waiting.Count > WaitingMax)
            {
                Count(_waiting.Dequeue(), Outcome.Broken, "more than 100 000 requests were waiting");
            }
        }
    }

    private void SendWaiting()
    {
        while (_waiting.Count > 0 && _idle.TryPop(out int index))
        {
            long due = _waiting.Dequeue();
            Lane lane = lanes[index];
            if (lane.Send(next(), _nonces.Next(), due))
            {
                _poller.Set(index, lane.Descriptor);
            }
            else
            {
                Count(due, Outcome.Broken, lane.LastTrouble);
                _idle.Push(index);
            }
        }
    }

    private long WaitNs() =>
        Math.Clamp(_dueNs == NoTime ? WaitAtMostNs : _dueNs - NowNs, 0, WaitAtMostNs);

    private void ReceiveReady()
    {
        if (_idle.Count == lanes.Count)
        {
            return;
        }

        long now = NowNs;
        for (int i = 0; i < lanes.Count; i++)
        {
            Lane lane = lanes[i];
            if (lane.Descriptor < 0 || !_poller.IsReady(i))
            {
                continue;
            }

            if (lane.Receive() is { } outcome)
            {
                Settle(i, outcome);
            }
        }

        if (now % Nano < WaitAtMostNs)
        {
            BreakLate(now);
        }
    }

    private void BreakLate(long now)
    {
        HashSet<int> idle = [.. _idle];
        for (int i = 0; i < lanes.Count; i++)
        {
            if (!idle.Contains(i) && now - lanes[i].DueNs > AnswerWithinNs)
            {
                Settle(i, lanes[i].Break("no answer within 10 s"));
            }
        }
    }

    private void Settle(int index, Outcome outcome)
    {
        Lane lane = lanes[index];
        _poller.Clear(index);
        _idle.Push(index);
        Count(lane.DueNs, outcome, outcome == Outcome.Expected ? "" : lane.LastTrouble);
        if (outcome is not Outcome.Broken)
        {
            TallyOf(lane.DueNs).Latency.Record((NowNs - lane.DueNs) / 1000);
        }
    }

    private void Count(long dueNs, Outcome outcome, string trouble)
    {
        Tally tally = TallyOf(dueNs);
        tally.Outcomes[(int)outcome]++;
        if (trouble.Length > 0)
        {
            tally.Reasons.Add(trouble);
        }
    }

    private Tally TallyOf(long dueNs)
    {
        int second = (int)(dueNs / Nano);
        if (!_seconds.TryGetValue(second, out Tally? tally))
        {
            _seconds[second] = tally = new Tally();
        }

        return tally;
    }

    // A second is over when nothing will be due in it any more and nothing is outstanding.
    private void ReportPast(bool settled)
    {
        while (_seconds.Count > 0)
        {
            (int second, Tally tally) = _seconds.First();
            bool over = (second + 1) * Nano <= _dueNs && tally.Outcomes.Sum() == tally.Due;
            if (!settled && !over)
            {
                return;
            }

            _seconds.Remove(second);
            report(new WorkerSecond(
                second, tally.Due, tally.Outcomes[0], tally.Outcomes[1], tally.Outcomes[2], tally.Outcomes[3],
                tally.Reasons.Counts, tally.Latency.Sparse(), tally.Lag.Sparse()));
        }
    }

    private sealed class Tally
    {
        public long Due { get; set; }

        public long[] Outcomes { get; } = new long[4];

        public Reasons Reasons { get; } = new();

        public LatencyHistogram Latency { get; } = new();

        public LatencyHistogram Lag { get; } = new();
    }
}
