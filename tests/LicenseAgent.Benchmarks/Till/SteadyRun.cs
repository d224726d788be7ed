using System.Globalization;
using LicenseAgent.Testbed.Baselines;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tills;

namespace LicenseAgent.Benchmarks.Till;

/// <summary>
/// An open loop of 5 000 validations a second on eight connections, the empty handler first and then the agent, with a
/// rotation in its midst; memory while it lasts.
/// </summary>
internal static class SteadyRun
{
    private const int PerSecond = 5_000, Connections = 8;
    private const string Gap = "as with the empty handler: two cores that generator and agent share with the machine";
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(3);

    public static async Task RunAsync(TimeSpan length, CancellationToken cancel)
    {
        Console.Error.WriteLine("- starting swtpm, license server and agent; enrolling");
        await using EnrolledTill till = await EnrolledTill.OpenAsync(
            new EnrolledTillSettings(new ServerSettings()), cancel);
        string token = (await till.IssueAsync(1, TimeSpan.FromDays(365)))[0];
        PosConnection[] agent = Connect(till.PosSocket, token, mustBeValid: true);
        await using ChildProcess handler = await ChildProcess.StartAsync(
            ChildProcess.PathOf("LicenseAgent.Benchmarks"),
            [EmptyHandler.Command, till.EmptySocket, agent[0].BodyLength.ToString(CultureInfo.InvariantCulture)]);
        await handler.WaitForLineAsync(EmptyHandler.Ready, cancel);
        PosConnection[] empty = Connect(till.EmptySocket, token, mustBeValid: false);
        Console.Error.WriteLine("- empty handler");
        OpenLoop.Run(empty, PerSecond, s_warmUp, cancel);
        OpenLatency baseline = OpenLoop.Run(empty, PerSecond, length, cancel);
        Console.Error.WriteLine("- agent");
        OpenLoop.Run(agent, PerSecond, s_warmUp, cancel);
        double early = till.ResidentMiB();
        Task<TimeSpan> rotation = RotateAsync(till, length / 2, cancel);
        OpenLatency measured = OpenLoop.Run(agent, PerSecond, length, cancel);
        await rotation;
        foreach (PosConnection connection in (PosConnection[])[.. agent, .. empty])
            connection.Dispose();
        Figure.Print(
            [
                Figure.Only("requests, each answered valid, a rotation among them", measured.Answered, ""),
                Figure.AtMost("open loop of 5000/s, p99", measured.P99 / 1000, 1, "ms", Gap),
                Figure.Only("  empty handler, p99", baseline.P99 / 1000, "ms"),
                Figure.AtMost(
                    "open loop of 5000/s, p99.9", measured.P999 / 1000, Math.Max(5, 3 * baseline.P999 / 1000), "ms",
                    Gap),
                Figure.Only("  empty handler, p99.9", baseline.P999 / 1000, "ms"),
                Figure.Only("resident memory after 3 s of it", early, "MiB"),
                Figure.AtMost("resident memory at its end", till.ResidentMiB(), 130, "MiB"),
            ],
            Console.Out);
    }

    private static async Task<TimeSpan> RotateAsync(EnrolledTill till, TimeSpan after, CancellationToken cancel)
    {
        await Task.Delay(after, cancel).ConfigureAwait(false);
        return await till.RotateAsync(cancel).ConfigureAwait(false);
    }

    private static PosConnection[] Connect(string socket, string token, bool mustBeValid)
    {
        PosConnection[] connections =
            [.. Enumerable.Range(0, Connections).Select(_ => new PosConnection(socket, token))];
        foreach (PosConnection connection in connections)
            connection.Learn(mustBeValid);
        return connections;
    }
}
