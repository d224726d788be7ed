using System.Diagnostics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.PosLoad.Load;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.PosLoad.Till;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>
/// Agents take turns: at times decided beforehand (a request waits for an agent that is free, and that counts as its
/// latency), or in closed phases as fast as so many of them can. Each agent has one request open and one connection.
/// </summary>
internal sealed class PacedRun(
    Scenario scenario, IReadOnlyList<FleetAgent> agents, Action<LoadResult, LoadSecond> progress)
{
    // Connections are made before the load, so many at once.
    private const int ConnectedAtOnce = 8;

    private const int WaitingMax = 100_000;
    private const double Nano = 1e9;

    // So long a load is run and not counted: both sides bring their code to its final form.
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_after = TimeSpan.FromSeconds(30);

    private readonly string _action = scenario.Fleet!.Action;
    private readonly Lock _gate = new();
    private readonly Queue<FleetAgent> _free = new(agents);
    private readonly Queue<double> _waiting = new();
    private long _start;
    private SecondBook _book = null!;

    /// <param name="name">Of the target, for people.</param>
    /// <param name="isServer">Else the other side answers anything.</param>
    /// <param name="process">Of the target.</param>
    public async Task<LoadResult> RunAsync(string name, bool isServer, Func<int?> process, CancellationToken cancel)
    {
        await WarmUpAsync(isServer, cancel);
        GC.Collect();
        LoadResult result = new(name);
        _book = new SecondBook(result, progress);
        _start = Stopwatch.GetTimestamp();
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task watching = RunWatch.SampleAsync(process, result, _start, over.Token);
        double begin = 0, reached = 0;
        foreach (Phase phase in scenario.Phases)
        {
            double end = begin + phase.Seconds;
            if (phase.Closed > 0)
            {
                reached = await ClosedAsync(phase.Closed, end, isServer, cancel) / phase.Seconds;
            }
            else
            {
                Phase open = phase.OfClosed is { } share
                    ? phase with { Rate = Math.Max(1, reached * share), OfClosed = null }
                    : phase;
                await OpenAsync(open, begin, isServer, cancel);
            }

            begin = end;
        }

        await over.CancelAsync();
        await watching;
        _book.Report(double.PositiveInfinity);
        return result;
    }

    private double Now => Stopwatch.GetElapsedTime(_start).TotalSeconds;

    private async Task WarmUpAsync(bool isServer, CancellationToken cancel)
    {
        ParallelOptions options = new() { MaxDegreeOfParallelism = ConnectedAtOnce, CancellationToken = cancel };
        if (_action != FleetActions.Connect)
        {
            await Parallel.ForEachAsync(agents, options, async (agent, stop) => await TryAsync(agent, isServer, stop));
        }

        long begin = Stopwatch.GetTimestamp();
        await Parallel.ForEachAsync(agents.Take(ConnectedAtOnce), options, async (agent, stop) =>
        {
            while (Stopwatch.GetElapsedTime(begin) < s_warmUp)
            {
                await TryAsync(agent, isServer, stop);
            }
        });
    }

    /// <returns>Right answers.</returns>
    private async Task<long> ClosedAsync(int count, double end, bool isServer, CancellationToken cancel)
    {
        long answered = 0;
        await Task.WhenAll(Enumerable.Range(0, count).Select(_ => Task.Run(
            async () =>
            {
                while (Now < end)
                {
                    FleetAgent agent = Take() ?? throw new InvalidOperationException("Fewer agents than take turns.");
                    double due = Now;
                    _book.Due(due, 0, isClosed: true);
                    (Outcome outcome, string why) = await TryAsync(agent, isServer, cancel);
                    double now = Now;
                    GiveBack(agent);
                    _book.Settle(due, outcome, now - due, why);
                    if (outcome == Outcome.Expected && now < end)
                    {
                        Interlocked.Increment(ref answered);
                    }

                    _book.Report(now);
                }
            },
            cancel)));
        return answered;
    }

    private async Task OpenAsync(Phase phase, double begin, bool isServer, CancellationToken cancel)
    {
        TaskCompletionSource<long> sent = new(TaskCreationOptions.RunContinuationsAsynchronously);
        long settled = 0;
        void Begin(FleetAgent agent, double due) => _ = Task.Run(
            async () =>
            {
                for (double? next = due; next is { } at; next = NextWaiting(agent))
                {
                    (Outcome outcome, string why) = await TryAsync(agent, isServer, cancel);
                    _book.Settle(at, outcome, Now - at, why);
                    Interlocked.Increment(ref settled);
                }
            },
            CancellationToken.None);

        // A thread of its own: the pool is busy with the answers, and its timers turn once a millisecond.
        new Thread(() =>
        {
            try
            {
                sent.SetResult(Dispatch(phase, begin, Begin, () => Interlocked.Increment(ref settled), cancel));
            }
            catch (Exception e)
            {
                sent.SetException(e);
            }
        })
        { IsBackground = true, Name = "load" }.Start();
        long all = await sent.Task;
        long waited = Stopwatch.GetTimestamp();
        while (Interlocked.Read(ref settled) < all && Stopwatch.GetElapsedTime(waited) < s_after)
        {
            await Task.Delay(10, cancel);
            _book.Report(Now);
        }
    }

    private long Dispatch(
        Phase phase, double begin, Action<FleetAgent, double> start, Action dropped, CancellationToken cancel)
    {
        Poller poller = new(0);
        long count = 0;
        foreach (long ns in new Arrivals([phase], 0, 1, seed: 1).Times())
        {
            double due = begin + (ns / Nano);
            for (double wait = due - Now; wait > 0; wait = due - Now)
            {
                cancel.ThrowIfCancellationRequested();
                _book.Report(Now);
                poller.Wait((long)(Math.Min(due - Now, 0.1) * Nano) is > 0 and var left ? left : 0);
            }

            count++;
            _book.Due(due, Now - due, isClosed: false);
            switch (TakeOrWait(due))
            {
                case (null, true):
                    _book.Settle(due, Outcome.Broken, 0, $"more than {WaitingMax} requests were waiting");
                    dropped();
                    break;
                case ({ } agent, _):
                    start(agent, due);
                    break;
                default:
                    break;
            }
        }

        return count;
    }

    private FleetAgent? Take()
    {
        lock (_gate)
        {
            return _free.TryDequeue(out FleetAgent? agent) ? agent : null;
        }
    }

    private void GiveBack(FleetAgent agent)
    {
        lock (_gate)
        {
            _free.Enqueue(agent);
        }
    }

    private (FleetAgent? Agent, bool IsFull) TakeOrWait(double due)
    {
        lock (_gate)
        {
            if (_free.TryDequeue(out FleetAgent? agent))
            {
                return (agent, false);
            }

            if (_waiting.Count >= WaitingMax)
            {
                return (null, true);
            }

            _waiting.Enqueue(due);
            return (null, false);
        }
    }

    // One that waits goes on at once with the agent that has become free.
    private double? NextWaiting(FleetAgent agent)
    {
        lock (_gate)
        {
            if (_waiting.TryDequeue(out double due))
            {
                return due;
            }

            _free.Enqueue(agent);
            return null;
        }
    }

    private async Task<(Outcome Outcome, string Why)> TryAsync(
        FleetAgent agent, bool isServer, CancellationToken cancel)
    {
        AgentMoment moment = new(UtcTime.From(TimeProvider.System.GetUtcNow()), Environment.TickCount64, 1);
        try
        {
            string? refused = _action switch
            {
                FleetActions.CheckIn => await agent.CheckInAsync(moment, cancel),
                FleetActions.Rotate => await agent.RotateAsync(moment, cancel),
                _ => await agent.AskStatusAsync(isServer, cancel),
            };
            return refused is null ? (Outcome.Expected, "") : (Outcome.Refused, refused);
        }
        catch (NoContactException e)
        {
            return (Outcome.Broken, $"{e.Reason}: {e.Message}");
        }
        catch (InvalidOperationException e)
        {
            return (Outcome.Wrong, e.Message);
        }
    }
}
