using System.Diagnostics;
using LicenseAgent.Client;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>One point on a copy of the snapshot: strike, look at what is left, start again, go on to the end, judge.</summary>
internal sealed class PointRun(Scenario scenario, Snapshot snapshot)
{
    private const int AsksMax = 24;
    private static readonly TimeSpan s_deathMax = TimeSpan.FromSeconds(10), s_again = TimeSpan.FromSeconds(2);

    /// <summary>The scenario without a strike: which points it has.</summary>
    public async Task<IReadOnlyList<CrashPoint>> EnumerateAsync(CancellationToken cancel)
    {
        List<CrashPoint> points = [];
        points.AddRange(await RecordAsync(["storage", "audit"], cancel));
        points.AddRange((await RecordAsync(["*"], cancel)).OfType<CrashPoint.Call>());
        return points;
    }

    public async Task<PointOutcome> RunAsync(CrashPoint point, Strike strike, CancellationToken cancel)
    {
        Laps laps = new();
        bool reached = false;
        string left = "";
        Judge judge = new(scenario, before: null);
        try
        {
            await using SweepTill till = await OpenAsync(cancel);
            laps.End("open");
            Books? before = scenario.Enrolled ? till.Read() : null;
            judge = new Judge(scenario, before);
            AuditBooks asked = AuditBooks.Read(till.Folder);
            reached = await StrikeAsync(till, point, strike, cancel);
            laps.End("strike");
            if (till.Agent.Process is { HasExited: true, WasKilled: false } ended)
                judge.Error($"The daemon ended by itself: {Tail(ended.Said)}");
            if (strike != Strike.Kill)
                await ToldOfAsync(till, asked, cancel);
            AuditBooks log = AuditBooks.Read(till.Folder);
            judge.Validations(asked, log, till.Answered);
            if (strike == Strike.Kill)
            {
                Books rest = till.Read();
                left = rest.ToString();
                judge.AtRest(rest, log);
            }

            await till.Agent.Process.KillAsync();
            await till.StartAgentAsync(cancel);
            laps.End("restart");
            await CompleteAsync(till, cancel);
            laps.End("complete");
            AuditBooks end = AuditBooks.Read(till.Folder, log);
            judge.AtEnd(till.Read(), end);
            judge.Validations(asked, end, till.Answered);
            await JudgeTokensAsync(till, judge, cancel);
        }
        catch (Exception e) when (!cancel.IsCancellationRequested && (e is TimeoutException or AgentException
            or InvalidOperationException or IOException or ProtocolException or OperationCanceledException))
        {
            judge.Error($"{e.GetType().Name}: {e.Message}");
        }

        laps.End("judge");
        return new PointOutcome(scenario.Name, point, strike, reached, left, judge.Broken, laps);
    }

    private async Task<SweepTill> OpenAsync(CancellationToken cancel)
    {
        SweepTill till = await SweepTill.OpenAsync(snapshot.Place.Copy(), scenario, snapshot.Tokens, cancel);
        try
        {
            till.Ahead = scenario.Later;
            UtcTime? seen = scenario.Enrolled ? till.Read().Server.LastSeen : null;
            await till.StartAgentAsync(cancel);
            if (scenario.Enrolled)
            {
                // The check-in of the start is over, so that it is no part of the scenario.
                await SweepTill.UntilAsync(
                    () => Task.FromResult(till.Read().Server.LastSeen > seen), () => "no check-in came", cancel);
                await till.AgreementAsync(cancel);
            }
            else
            {
                await till.QuietAsync(cancel);
            }

            till.Bus.Recording.Clear();
            return till;
        }
        catch (Exception)
        {
            await till.DisposeAsync();
            throw;
        }
    }

    private async Task<IReadOnlyList<CrashPoint>> RecordAsync(string[] threads, CancellationToken cancel)
    {
        await using SweepTill till = await OpenAsync(cancel);
        List<string> messages = [];
        foreach (string action in (string[])["enroll", "rotate-secret", "confirm-rotation", "check-in"])
        {
            till.Server.Faults.Add(
                new ServerFault { Match = action, Times = 0 },
                _ =>
                {
                    lock (messages)
                        messages.Add(action);
                    return Task.CompletedTask;
                });
        }

        List<Strace> traces = [];
        foreach (string thread in threads)
            traces.Add(await Strace.RecordAsync(till.Agent, thread, cancel));
        if (await scenario.AskAsync(till, cancel) is { } error)
            throw new InvalidOperationException($"{scenario.Name} fails without a strike: {error}");
        await till.AgreementAsync(cancel, scenario.ActiveAfter);
        await SweepTill.UntilAsync(
            () => Task.FromResult(scenario.IsOver(till.Folder)), () => $"{scenario.Name} is not over", cancel);
        List<CrashPoint> points = [];
        for (int i = 0; i < traces.Count; i++)
        {
            points.AddRange(CallsOf(threads[i], await traces[i].DetachAsync(cancel)));
            await traces[i].DisposeAsync();
        }

        IReadOnlyList<TpmExchange> bus = till.Bus.Recording.Exchanges;
        points.AddRange(bus.Select(e => new CrashPoint.Command(false, e.Ordinal, $"{e.Command}")));
        points.AddRange(bus.Select(e => new CrashPoint.Command(true, e.Ordinal, $"{e.Command}")));
        foreach (ServerMoment moment in Enum.GetValues<ServerMoment>())
        {
            points.AddRange(messages.GroupBy(action => action).SelectMany(
                same => same.Select((action, i) => new CrashPoint.Message(moment, i + 1, action))));
        }

        return points;
    }

    // Injection counts calls of one kind on one thread, reads included; a point is where something can change.
    private static IEnumerable<CrashPoint> CallsOf(string thread, IReadOnlyList<TracedCall> calls)
    {
        Dictionary<(string Thread, string Name), int> seen = [];
        HashSet<(string Name, int Ordinal)> given = [];
        foreach (TracedCall call in calls)
        {
            int ordinal = seen[(call.Thread, call.Name)] = seen.GetValueOrDefault((call.Thread, call.Name)) + 1;
            bool counts = call.Writes && (thread != "*" || call.Name == "write");
            if (counts && given.Add((call.Name, ordinal)))
                yield return new CrashPoint.Call(thread, call.Name, ordinal, $"{call.Name} {call.About}");
        }
    }

    /// <summary>Arms the point, asks for the operation, and waits for the end of the daemon or of the
    /// operation.</summary>
    private async Task<bool> StrikeAsync(SweepTill till, CrashPoint point, Strike strike, CancellationToken cancel)
    {
        Strace? trace = null;
        TaskCompletionSource struck = new(TaskCreationOptions.RunContinuationsAsynchronously);
        switch (point)
        {
            case CrashPoint.Call call:
                trace = await Strace.InjectAsync(till.Agent, call, strike, cancel);
                break;
            case CrashPoint.Command command:
                till.Bus.Add(
                    new TpmRule
                    {
                        Occurrence = command.Ordinal,
                        Fault = command.Executed ? TpmFault.CallAfter : TpmFault.CallBefore,
                    },
                    _ => KillAsync(till, struck));
                break;
            case CrashPoint.Message message:
                till.Server.Faults.Add(
                    new ServerFault
                    {
                        Match = message.Label,
                        Occurrence = message.Ordinal,
                        Drop = message.Moment == ServerMoment.Received,
                        AfterCommit = message.Moment == ServerMoment.Committed,
                        AfterAnswer = message.Moment == ServerMoment.Answered,
                    },
                    _ => KillAsync(till, struck));
                break;
        }

        await using (trace)
        {
            bool dead = await AskUntilStruckAsync(till, cancel);
            bool injected = trace is not null && (await trace.DetachAsync(cancel)).Any(c => c.Injected);
            till.Bus.Heal();
            till.Server.Faults.Heal();
            return strike == Strike.Kill ? dead && till.Agent.Process.WasKilled : injected;
        }
    }

    /// <summary>What could not be written is told of as soon as it can be, by itself: a second later at most.</summary>
    private static Task ToldOfAsync(SweepTill till, AuditBooks asked, CancellationToken cancel) => SweepTill.UntilAsync(
        () =>
        {
            (long told, long lost) = Judge.ToldOf(asked, AuditBooks.Read(till.Folder));
            return Task.FromResult(told + lost >= till.Answered);
        },
        () => $"I12: {till.Answered} validations were answered and not all are told of", cancel);

    private static async Task KillAsync(SweepTill till, TaskCompletionSource struck)
    {
        await till.Agent.Process.KillAsync();
        struck.TrySetResult();
    }

    /// <returns>Whether the daemon has ended.</returns>
    private async Task<bool> AskUntilStruckAsync(SweepTill till, CancellationToken cancel)
    {
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task<int> ended = till.Agent.Process.ExitCodeAsync(over.Token);
        Task settled = SettleAsync(till, over.Token);
        await Task.WhenAny(ended, settled);
        bool dead = till.Agent.Process.HasExited;
        if (!dead)
            await settled;
        await over.CancelAsync();
        return dead;
    }

    // The daemon may be killed under any of these calls; then nobody waits for them.
    private async Task SettleAsync(SweepTill till, CancellationToken cancel)
    {
        ChildProcess daemon = till.Agent.Process;
        try
        {
            await scenario.AskAsync(till, cancel);
            await CompleteAsync(till, cancel, asks: 1);
            await till.QuietAsync(cancel);
        }
        catch (Exception e) when (e is AgentException or OperationCanceledException)
        {
            // A client can see the end of the daemon before the kernel says so to whoever waits for the process.
            using CancellationTokenSource limit = new(s_deathMax);
            await daemon.ExitCodeAsync(limit.Token);
        }
    }

    /// <summary>Waits until the operation is done, and asks again where a crash before its first durable step made the
    /// agent forget it.</summary>
    /// <param name="asks">How often this life of the agent has been asked already.</param>
    private async Task CompleteAsync(SweepTill till, CancellationToken cancel, int asks = 0)
    {
        string? refused = null;
        for (; ; asks++)
        {
            bool done = false;
            long asked = Stopwatch.GetTimestamp();
            await SweepTill.UntilAsync(
                async () =>
                {
                    // What was accepted is carried out in its own time: only what has not begun then was forgotten.
                    bool forgotten = asks == 0 || Stopwatch.GetElapsedTime(asked) > s_again;
                    StatusResponse status = await till.StatusAsync(cancel);
                    if (status is { Mode: "LOCKED", LockReason: "not_enrolled" })
                        return forgotten && !scenario.Enrolled;
                    if (status is not { Mode: "NORMAL", PendingSecret: null })
                        return false;
                    Books books = till.Read();
                    done = books.Active == scenario.ActiveAfter && IsRetired(books) && scenario.IsOver(till.Folder);
                    return done || (forgotten && books is { Agree: true, Run.Intent: null });
                },
                () => till.Read() + "\n" + Tail(till.Agent.Process.Said), cancel);
            if (done)
                return;
            if (asks == AsksMax)
                throw new TimeoutException($"Asked {asks} times, and it is not done: {refused} {till.Read()}");
            refused = await scenario.AskAsync(till, cancel);
        }
    }

    private bool IsRetired(Books books) =>
        scenario.OutOfUse is not { } gone || (books.FileOf(gone) is null
            && books.Bound?.Secrets.Any(s => s.Version == gone) == false && books.Run.Levels.Invalidated.IsEmpty);

    private async Task JudgeTokensAsync(SweepTill till, Judge judge, CancellationToken cancel)
    {
        for (int version = 1; version <= snapshot.Tokens.Count; version++)
        {
            LicenseValidation answer = await ValidateReadAsync(till, snapshot.Tokens[version - 1], cancel);
            judge.Tokens(
                $"a token under {version}", answer.IsValid, expected: version != scenario.OutOfUse, answer.Reason);
        }

        LicenseValidation fresh = await till.ValidateAsync(await till.IssueAsync(cancel), cancel);
        judge.Tokens("a token issued after it", fresh.IsValid, expected: true, fresh.Reason);
    }

    /// <summary>The answer once the start has read the token's secret; LOCKED until then, whatever the mode.</summary>
    private static async Task<LicenseValidation> ValidateReadAsync(
        SweepTill till, string token, CancellationToken cancel)
    {
        LicenseValidation? answer = null;
        await SweepTill.UntilAsync(
            async () => (answer = await till.ValidateAsync(token, cancel)).Reason != ValidationReasons.Locked,
            () => $"a token stays LOCKED: {till.Read()}", cancel);
        return answer!;
    }

    private static string Tail(string said) => string.Join('\n', said.TrimEnd().Split('\n').TakeLast(8));
}
