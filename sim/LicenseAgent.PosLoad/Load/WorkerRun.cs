using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Load;

/// <summary>
/// A worker process: one user's part of the load. Prints a line of JSON for each second; ends with its plan, or when
/// the process that started it is gone.
/// </summary>
internal static class WorkerRun
{
    public const string Command = "worker", Ready = "worker_ready", GoFile = ".go";

    private static readonly TimeSpan s_goWithin = TimeSpan.FromSeconds(60), s_look = TimeSpan.FromMilliseconds(20);

    public static int Run(string planFile, CancellationToken cancel)
    {
        WorkerPlan plan = Plan(planFile);
        Scenario scenario = plan.Scenario;
        int connections = (scenario.Connections / plan.Workers)
            + (plan.Worker < scenario.Connections % plan.Workers ? 1 : 0);
        Func<PosRequest> next = plan.AnyAnswer
            ? AnyAnswer(plan.Tokens.Good[0])
            : plan.Tokens.Requests(scenario.Mix, plan.Worker, plan.Workers);
        Lane[] lanes = [.. Enumerable.Range(0, connections).Select(_ => new Lane(plan.Socket, scenario.Reconnect))];
        WarmUp(lanes, next);
        Console.WriteLine(Ready);
        long start = WaitForGo(planFile + GoFile, cancel);

        // A pause of the collector would count as the agent's.
        GC.Collect();
        using IEnumerator<long> times =
            new Arrivals(scenario.Phases, plan.Worker, plan.Workers, seed: 1).Times().GetEnumerator();
        new Generator(lanes, times, next, Say).Run(start, cancel);
        foreach (Lane lane in lanes)
        {
            lane.Dispose();
        }

        return 0;
    }

    public static WorkerPlan Plan(string file) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(file), WorkerJsonContext.Default.WorkerPlan)
        ?? throw new InvalidOperationException($"{file} holds no plan.");

    private static Func<PosRequest> AnyAnswer(string token)
    {
        PosRequest request = new(token, "");
        return () => request;
    }

    // Connects, and brings the code of both sides to its final form; trouble here will be trouble under load, and counts
    // there.
    private static void WarmUp(Lane[] lanes, Func<PosRequest> next)
    {
        const int Requests = 2000;
        const long ApartNs = 500_000;
        using IEnumerator<long> times = Enumerable.Range(0, Requests).Select(i => i * ApartNs).GetEnumerator();
        new Generator(lanes, times, next, _ => { }).Run(Stopwatch.GetTimestamp(), CancellationToken.None);
    }

    // The parent writes the start's timestamp, of the monotonic clock that all processes share, when all are ready.
    private static long WaitForGo(string file, CancellationToken cancel)
    {
        long begin = Stopwatch.GetTimestamp();
        while (!File.Exists(file))
        {
            if (cancel.WaitHandle.WaitOne(s_look) || Stopwatch.GetElapsedTime(begin) > s_goWithin)
            {
                throw new OperationCanceledException("Nobody said go within 60 s.");
            }
        }

        return long.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture);
    }

    private static void Say(WorkerSecond second) =>
        Console.WriteLine(JsonSerializer.Serialize(second, WorkerJsonContext.Default.WorkerSecond));
}
