using System.Collections.Concurrent;
using System.Diagnostics;
using LicenseAgent.Core;
using LicenseAgent.PosLoad.Load;
using LicenseAgent.PosLoad.Measure;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.PosLoad.Till;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>
/// A fleet that keeps to its own schedule: one thread steps the cores of all agents at the times they ask for; what
/// they begin runs on the pool and comes back as an event.
/// </summary>
internal sealed class ScheduleRun(Scenario scenario, FleetStage stage, Action<LoadResult, LoadSecond> progress)
{
    // A minute of the fleet is what is judged: the generator may be late by a hundredth of it.
    private const double LagShareOfMinute = 0.01, MinuteMs = 60_000;

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100), s_after = TimeSpan.FromSeconds(30);

    private readonly BlockingCollection<(Begun Begun, AgentEvent End, double At)> _ended = [];
    private readonly PriorityQueue<ScheduledAgent, long> _wakes = new();
    private readonly Dictionary<ScheduledAgent, long> _wakeOf = [];
    private readonly FleetTime _time = stage.Time;
    private SecondBook _book = null!;
    private double _awayFrom = double.PositiveInfinity, _awayUntil = double.PositiveInfinity;
    private Exception? _failure;
    private long _rotationsFailed;
    private int _open;

    public async Task<LoadResult> RunAsync(CancellationToken cancel)
    {
        LoadResult result = new("license server") { LagMaxMs = LagShareOfMinute * MinuteMs / _time.Factor };
        _book = new SecondBook(result, progress);
        long before = stage.Scheduled.Sum(a => a.RotationsDone);
        GC.Collect();
        _time.Start();
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task watching = RunWatch.SampleAsync(() => stage.ServerId, result, _time.StartedAt, over.Token);
        Task acting = RunWatch.ActAsync(scenario, result, _time.StartedAt, ActAsync, over.Token);
        await Task.Factory.StartNew(
            () => Loop(cancel), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await acting;
        await over.CancelAsync();
        await watching;
        _book.Report(double.PositiveInfinity);
        result.Fleet = new FleetTally(
            stage.Scheduled.Count, stage.Scheduled.Sum(a => a.RotationsDone) - before, _rotationsFailed,
            stage.Scheduled.Count(a => a.Mode != AgentMode.Normal), _time.Factor);
        return result;
    }

    private double Now => Stopwatch.GetElapsedTime(_time.StartedAt).TotalSeconds;

    private async Task ActAsync(string what, CancellationToken cancel)
    {
        if (what == StageEvents.ServerKill)
        {
            Volatile.Write(ref _awayUntil, double.PositiveInfinity);
            Volatile.Write(ref _awayFrom, Now);
        }

        await stage.ActAsync(what, cancel);
        if (what == StageEvents.ServerStart)
        {
            Volatile.Write(ref _awayUntil, Now);
        }
    }

    private void Loop(CancellationToken cancel)
    {
        foreach (ScheduledAgent agent in stage.Scheduled)
        {
            Wake(agent);
        }

        double end = scenario.Seconds;
        while (Now < end || (_open > 0 && Now < end + s_after.TotalSeconds))
        {
            cancel.ThrowIfCancellationRequested();
            if (Volatile.Read(ref _failure) is { } failure)
            {
                throw new InvalidOperationException("A software agent could not go on.", failure);
            }

            while (_ended.TryTake(out (Begun Begun, AgentEvent End, double At) ended))
            {
                Settle(ended.Begun, ended.End, ended.At);
                Step(ended.Begun.Agent, ended.End, Now, end);
            }

            StepDue(end);
            _book.Report(Now);
            _ended.TryTake(out (Begun Begun, AgentEvent End, double At) first, UntilNext());
            if (first.Begun is not null)
            {
                Settle(first.Begun, first.End, first.At);
                Step(first.Begun.Agent, first.End, Now, end);
            }
        }
    }

    private void StepDue(double end)
    {
        while (_wakes.TryPeek(out ScheduledAgent? agent, out long due) && due <= _time.ElapsedMs)
        {
            _wakes.Dequeue();
            if (_wakeOf[agent] == due)
            {
                Step(agent, new AgentEvent.Ticked(), due / 1000.0 / _time.Factor, end);
            }
        }
    }

    private TimeSpan UntilNext()
    {
        TimeSpan wait = _wakes.TryPeek(out _, out long due)
            ? TimeSpan.FromMilliseconds((due - _time.ElapsedMs) / (double)_time.Factor)
            : s_look;
        return wait < TimeSpan.Zero ? TimeSpan.Zero : wait > s_look ? s_look : wait;
    }

    /// <param name="due">When the step should have been, in seconds from the start.</param>
    private void Step(ScheduledAgent agent, AgentEvent happened, double due, double end)
    {
        Begun? begun = agent.Step(happened);
        Wake(agent);
        if (begun is null || due >= end)
        {
            return;
        }

        double at = Now;
        if (begun.Plan is not null)
        {
            _book.Due(at, Math.Max(0, at - due), isClosed: false);
        }

        _open++;
        _ = Task.Run(async () =>
        {
            try
            {
                _ended.Add((begun, await begun.RunAsync(CancellationToken.None), at));
            }
            catch (Exception e)
            {
                // A mistake of this program: the loop ends with it.
                Volatile.Write(ref _failure, e);
            }
        });
    }

    private void Wake(ScheduledAgent agent)
    {
        long due = agent.NextWakeMs;
        _wakeOf[agent] = due;
        _wakes.Enqueue(agent, due);
    }

    private void Settle(Begun begun, AgentEvent end, double at)
    {
        _open--;
        bool isRotation = begun.Plan is RequestPlan.Prepare or RequestPlan.Confirm;
        double now = Now;
        switch (end)
        {
            case AgentEvent.ContactFailed when at < Volatile.Read(ref _awayUntil) && now > Volatile.Read(ref _awayFrom):
                _book.Away(at);
                return;
            case AgentEvent.ContactFailed e:
                _rotationsFailed += isRotation ? 1 : 0;
                _book.Settle(at, Outcome.Broken, now - at, e.Reason);
                return;
            case AgentEvent.AnswerArrived { Answer: RefusalAnswer refusal }:
                _rotationsFailed += isRotation ? 1 : 0;
                _book.Settle(at, Outcome.Refused, now - at, refusal.Error);
                return;
            case AgentEvent.AnswerArrived:
                _book.Settle(at, Outcome.Expected, now - at, "");
                return;
            case AgentEvent.StagingFailed:
                _rotationsFailed++;
                return;
            default:
                return;
        }
    }
}
