using System.Globalization;
using LicenseAgent.Testbed.Baselines;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tills;

namespace LicenseAgent.Benchmarks.Till;

/// <summary>Measures the real agent, prints the table, and judges the one figure that is gated.</summary>
internal static class AgentRun
{
    private const double RatioWanted = 0.70, RatioGate = 0.60;
    private const int Connections = 8, Starts = 5, Rotations = 5;

    // Why what is not reached is not, on the machines this was written on.
    private const string StartGap =
        "a fifth is the runtime's own start, the rest the TPM's answers and code that is compiled meanwhile";
    private const string FirstSightGap =
        "one ECDSA verification and one AES-GCM opening, by code that is still being compiled";
    private const string OneByOneGap =
        "the empty handler takes most of it: Kestrel, and two processes that wake each other";
    private const string ThroughputGap =
        "the client has its share of the same cores: see the ratio to the empty handler";
    private const string RatioGap =
        "what comes on top of Kestrel (a nonce, a chained record, its write) weighs more where sockets are fast";
    private const string RotationGap =
        "durable writes and answers of the TPM, which differ by half from run to run";

    // Half of them bring the code that opens tokens to its final form, half are measured.
    private const int Tokens = 600;

    // What starting leaves behind is given back by then.
    private static readonly TimeSpan s_untilIdle = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(1);

    public static async Task<int> RunAsync(TimeSpan round, bool gate, CancellationToken cancel)
    {
        Say("starting swtpm, license server and agent; enrolling");
        await using EnrolledTill till = await EnrolledTill.OpenAsync(new EnrolledTillSettings(new ServerSettings()), cancel);
        IReadOnlyList<string> tokens = await till.IssueAsync(Tokens, TimeSpan.FromDays(365));
        List<Figure> figures = [];

        Say("starts, memory");
        List<double> starts = [];
        for (int i = 0; i < Starts; i++)
            starts.Add((await till.RestartAsync(cancel)).TotalSeconds);
        figures.Add(Figure.AtMost("start to ready with swtpm", Rounds.Median(starts), 0.7, "s", StartGap));
        await Task.Delay(s_untilIdle, cancel);
        figures.Add(Figure.AtMost("resident memory, idle", till.ResidentMiB(), 85, "MiB"));

        Say("tokens seen for the first time");
        figures.Add(Figure.AtMost(
            "first sight of a token, p50", FirstSight(till.PosSocket, tokens).P50, 250, "us", FirstSightGap));

        double ratio = await CompareAsync(till, tokens[0], round, figures, cancel);

        Say("rotations");
        List<double> rotations = [];
        for (int i = 0; i < Rotations; i++)
            rotations.Add((await till.RotateAsync(cancel)).TotalMilliseconds);
        figures.Add(Figure.AtMost("rotation end to end with swtpm", Rounds.Median(rotations), 150, "ms", RotationGap));

        Figure.Print(figures, Console.Out);
        if (!gate || ratio >= RatioGate)
            return 0;
        Console.Error.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"The ratio {ratio:0.00} is below the gate of {RatioGate:0.00}."));
        return 1;
    }

    private static Latency FirstSight(string socket, IReadOnlyList<string> tokens)
    {
        using var connection = new PosConnection(socket, tokens[0]);
        connection.Learn(mustBeValid: true);
        Rounds.EachToken(connection, tokens.Skip(1).Take(tokens.Count / 2));
        return Rounds.EachToken(connection, tokens.Skip(1 + tokens.Count / 2));
    }

    private static async Task<double> CompareAsync(
        EnrolledTill till, string token, TimeSpan round, List<Figure> figures, CancellationToken cancel)
    {
        using Side agent = new(till.PosSocket, token, mustBeValid: true);
        await using ChildProcess handler = await ChildProcess.StartAsync(
            ChildProcess.PathOf("LicenseAgent.Benchmarks"),
            [EmptyHandler.Command, till.EmptySocket, agent.BodyLength.ToString(CultureInfo.InvariantCulture)]);
        await handler.WaitForLineAsync(EmptyHandler.Ready, cancel);
        using Side empty = new(till.EmptySocket, token, mustBeValid: false);
        if (agent.AnswerLength != empty.AnswerLength)
        {
            throw new InvalidOperationException(
                $"The agent answers {agent.AnswerLength} bytes, the empty handler {empty.AnswerLength}.");
        }

        Rounds.Throughput(agent.Connections, s_warmUp, cancel);
        Rounds.Throughput(empty.Connections, s_warmUp, cancel);
        for (int i = 1; i <= Rounds.Count; i++)
        {
            Say(string.Create(CultureInfo.InvariantCulture, $"round {i} of {Rounds.Count}"));
            agent.Measure(round, cancel);
            empty.Measure(round, cancel);
        }

        double ratio = agent.PerSecond / empty.PerSecond;
        figures.AddRange(
            Figure.AtMost("repeated token, one connection, p50", agent.P50, 60, "us", OneByOneGap),
            Figure.AtMost("repeated token, one connection, p99", agent.P99, 250, "us", OneByOneGap),
            Figure.Only("  empty handler, p50", empty.P50, "us"),
            Figure.Only("  empty handler, p99", empty.P99, "us"),
            Figure.AtLeast("repeated token, 8 connections", agent.PerSecond, 30_000, "/s", ThroughputGap),
            Figure.Only("  empty handler", empty.PerSecond, "/s"),
            Figure.AtLeast("  ratio to the empty handler (gate 0.60)", ratio, RatioWanted, "", RatioGap));
        return ratio;
    }

    private static void Say(string what) => Console.Error.WriteLine("- " + what);

    /// <summary>The connections to one of the two, and the figures of its rounds.</summary>
    private sealed class Side : IDisposable
    {
        private readonly List<double> _perSecond = [], _p50 = [], _p99 = [];

        public Side(string socket, string token, bool mustBeValid)
        {
            Connections = [.. Enumerable.Range(0, AgentRun.Connections).Select(_ => new PosConnection(socket, token))];
            foreach (PosConnection connection in Connections)
                connection.Learn(mustBeValid);
        }

        public IReadOnlyList<PosConnection> Connections { get; }

        public int AnswerLength => Connections[0].AnswerLength;

        public int BodyLength => Connections[0].BodyLength;

        public double PerSecond => Rounds.Median(_perSecond);

        public double P50 => Rounds.Median(_p50);

        public double P99 => Rounds.Median(_p99);

        public void Measure(TimeSpan round, CancellationToken cancel)
        {
            _perSecond.Add(Rounds.Throughput(Connections, round, cancel));
            Latency latency = Rounds.OneByOne(Connections[0], round, cancel);
            _p50.Add(latency.P50);
            _p99.Add(latency.P99);
        }

        public void Dispose()
        {
            foreach (PosConnection connection in Connections)
                connection.Dispose();
        }
    }
}
